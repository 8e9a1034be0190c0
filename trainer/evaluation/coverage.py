"""Say what is gained by sending the unsure to review: the accuracy of those that are kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.metrics import LabeledPredictions
from worker.stats import wilson_interval

TARGET_ACCURACY = 0.95
"""Of the photos that are not sent to review; one in twenty wrong is what people put up with in an album."""

_STEPS = 100
"""Thresholds that are considered, 0.00 to 0.99, as a person would write them."""

_FEWEST_KEPT = 20
"""Fewer pictures say too little: with all 20 right, the accuracy may still be 84 %."""


@dataclass(frozen=True, slots=True)
class CoverageCurve:
    """Each float64 (M,): the share kept, ascending to 1, the accuracy of it, and its least confidence."""

    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one threshold keeps of some pictures, and the accuracy of it with its 95 % interval (Wilson)."""

    threshold: float
    kept: int
    pictures: int
    right: int

    @property
    def coverage(self) -> float:
        """Return the share that is kept."""
        return self.kept / self.pictures

    @property
    def accuracy(self) -> float:
        """Return the share of the kept that is right, 1 where nothing is kept."""
        return self.right / self.kept if self.kept else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return the accuracy's interval."""
        return wilson_interval(self.right, self.kept)


def compute_coverage_curve(answers: LabeledPredictions) -> CoverageCurve:
    """Keep more and more of the pictures, the surest first; equally sure ones together."""
    confidence = answers.confidence()
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    ends = np.flatnonzero(np.r_[ordered[1:] < ordered[:-1], True])
    right = np.cumsum(answers.right()[order])[ends]
    return CoverageCurve((ends + 1) / len(ordered), right / (ends + 1), ordered[ends])


def measure_coverage(answers: LabeledPredictions, threshold: float) -> Coverage:
    """Count what the worker keeps, of confidence `threshold` or more."""
    kept = answers.confidence() >= threshold
    return Coverage(threshold, int(kept.sum()), len(kept), int((kept & answers.right()).sum()))


def suggest_threshold(answers: LabeledPredictions, target: float = TARGET_ACCURACY) -> float | None:
    """Return the least `min_confidence` at which the accuracy of what is kept reaches the target.

    The answers should be the validation pictures'. None where no threshold that keeps 20 pictures does; 0.0
    where nothing has to be sent to review.
    """
    for step in range(_STEPS):
        found = measure_coverage(answers, step / _STEPS)
        if found.kept < min(_FEWEST_KEPT, found.pictures):
            return None
        if found.accuracy >= target:
            return found.threshold
    return None
