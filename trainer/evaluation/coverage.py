"""Measure what sending unsure predictions to review gains: the accuracy of those above a threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.metrics import LabeledPredictions
from worker.stats import wilson_interval

TARGET_ACCURACY = 0.95
"""Of the photos that are not sent to review: one in twenty wrong is what people put up with in an album."""

_STEPS = 100
"""Thresholds that are tried, 0.00 to 0.99, as a person would write them."""

_MIN_PICTURES = 20
"""Fewer pictures say too little: with all 20 correct, the accuracy may still be 84 %."""


@dataclass(frozen=True, slots=True)
class CoverageCurve:
    """Accuracy against coverage, from the surest picture alone to all pictures, each float64 (M,).

    `coverage` is the share of pictures up to here, ascending to 1, `accuracy` their accuracy, and
    `confidence` the lowest confidence among them.
    """

    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one threshold does to `total` pictures.

    `covered` counts those that reach it, `correct` those of them whose prediction is correct; the rest goes
    to review.
    """

    threshold: float
    covered: int
    total: int
    correct: int

    @property
    def share(self) -> float:
        """The share of pictures that reach the threshold, 0 to 1."""
        return self.covered / self.total

    @property
    def accuracy(self) -> float:
        """The accuracy on the covered pictures, 0 to 1; 1 where there are none."""
        return self.correct / self.covered if self.covered else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy (Wilson)."""
        return wilson_interval(self.correct, self.covered)


def compute_coverage_curve(predictions: LabeledPredictions) -> CoverageCurve:
    """Add pictures in the order of their confidence, the surest first; equally sure ones together."""
    confidence = predictions.confidence
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    ends = np.flatnonzero(np.r_[ordered[1:] < ordered[:-1], True])
    correct = np.cumsum(predictions.correct[order])[ends]
    return CoverageCurve((ends + 1) / len(ordered), correct / (ends + 1), ordered[ends])


def measure_coverage(predictions: LabeledPredictions, threshold: float) -> Coverage:
    """Count the pictures that the worker files, those of confidence `threshold` or more."""
    is_covered = predictions.confidence >= threshold
    correct = int((is_covered & predictions.correct).sum())
    return Coverage(threshold, int(is_covered.sum()), len(is_covered), correct)


def suggest_threshold(predictions: LabeledPredictions, target: float = TARGET_ACCURACY) -> float | None:
    """Return the lowest `min_confidence` at which the accuracy of the covered pictures reaches the target.

    The predictions should be for the validation pictures. None where no threshold that covers 20 pictures
    reaches the target; 0.0 where nothing has to go to review.
    """
    for step in range(_STEPS):
        coverage = measure_coverage(predictions, step / _STEPS)
        # Higher thresholds cover even fewer.
        if coverage.covered < min(_MIN_PICTURES, coverage.total):
            return None
        if coverage.accuracy >= target:
            return coverage.threshold
    return None
