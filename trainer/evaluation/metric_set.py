"""Compute every figure of quality for many weightings of the same pictures at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bootstrap import MetricValues, Weights
from trainer.evaluation.calibration import compute_calibration_errors, compute_log_losses

Key = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class MetricSet:
    """The names of K figures, each with its class or None for all, and how to measure them.

    `measure_cost` takes float32 (R, N), how often each picture counts, and gives float64 (R, K), NaN where a
    figure is not defined.
    """

    keys: tuple[Key, ...]
    measure: Callable[[Weights], MetricValues]

    @classmethod
    def of(
        cls,
        chances: NDArray[np.float64],
        uncalibrated: NDArray[np.float64],
        predicted: NDArray[np.int64],
        labels: NDArray[np.int64],
    ) -> "MetricSet":
        """Prepare the figures of these predictions: float64 (N, classes) twice, int64 (N,) twice."""
        classes = chances.shape[1]
        counting = _Counting(predicted, labels, classes)
        ranking = [_Ranking(chances[:, label], labels == label) for label in range(classes)]
        right = predicted == labels
        everyone = np.arange(len(labels))

        def measure(weights: Weights) -> MetricValues:
            areas = np.stack([each.area(weights) for each in ranking], axis=1)
            precision, recall, f1 = counting.of_classes(weights)
            whole = [
                counting.accuracy(weights),
                _average_defined(recall),
                _average_defined(f1),
                _average_defined(areas),
                compute_log_losses(chances, labels, weights),
                compute_calibration_errors(chances[everyone, predicted], right, weights),
                compute_calibration_errors(uncalibrated[everyone, predicted], right, weights),
            ]
            return np.concatenate([np.stack(whole, axis=1), precision, recall, f1, areas], axis=1)

        names = "accuracy balanced_accuracy f1 auc log_loss calibration_error calibration_error_uncalibrated"
        keys: list[Key] = [(name, None) for name in names.split()]
        keys += [(name, label) for name in ("precision", "recall", "f1", "auc") for label in range(classes)]
        return cls(tuple(keys), measure)


class _Counting:
    """Figures that rest on the predicted classes alone."""

    def __init__(self, predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> None:
        one_hot = np.eye(classes, dtype=np.float32)
        self._right = (predicted == labels).astype(np.float32)
        self._named = one_hot[predicted]
        self._there = one_hot[labels]
        self._hits = self._there * self._right[:, None]

    def accuracy(self, weights: Weights) -> MetricValues:
        return np.asarray((weights @ self._right) / weights.sum(axis=1), np.float64)

    def of_classes(self, weights: Weights) -> tuple[MetricValues, MetricValues, MetricValues]:
        """Return precision, recall and F1, each float64 (R, classes).

        Precision is NaN where a class was never predicted, recall and F1 where no picture is of it.
        """
        named, there, hits = (
            (weights @ counted).astype(np.float64) for counted in (self._named, self._there, self._hits)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = np.where(there > 0, 2 * hits / (named + there), np.nan)
            return hits / named, hits / there, f1


class _Ranking:
    """The area under the ROC curve of one class against the rest, equal scores counting half."""

    def __init__(self, scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
        self._positive = positive[self._order].astype(np.float32)

    def area(self, weights: Weights) -> MetricValues:
        ordered = weights[:, self._order]
        positive = np.add.reduceat(ordered * self._positive, self._starts, axis=1, dtype=np.float64)
        both = np.add.reduceat(ordered, self._starts, axis=1, dtype=np.float64)
        negative = both - positive
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(invalid="ignore"):
            area: MetricValues = (positive * below).sum(axis=1) / pairs
        return area


def _average_defined(of_classes: MetricValues) -> MetricValues:
    """Return the mean over the classes that are defined, NaN where none is: float64 (R,)."""
    defined = ~np.isnan(of_classes)
    with np.errstate(invalid="ignore"):
        mean: MetricValues = np.where(defined, of_classes, 0.0).sum(axis=1) / defined.sum(axis=1)
    return mean
