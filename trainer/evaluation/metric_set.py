"""Compute every metric for many weightings of the same pictures at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bootstrap import MetricValues, Weights
from trainer.evaluation.calibration import compute_calibration_errors, compute_log_losses

MetricKey = tuple[str, int | None]
"""The name of a metric, and the position of its class, or None for all classes."""

_OVERALL_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "auc",
    "log_loss",
    "calibration_error",
    "calibration_error_uncalibrated",
)
_CLASS_METRICS = ("precision", "recall", "f1", "auc")


@dataclass(frozen=True, slots=True)
class MetricSet:
    """The keys of K metrics, and the function that measures them.

    `measure` takes how often each picture counts, float32 (R, N), and returns float64 (R, K), NaN where a
    metric is not defined.
    """

    keys: tuple[MetricKey, ...]
    measure: Callable[[Weights], MetricValues]

    @classmethod
    def from_predictions(
        cls,
        probabilities: NDArray[np.float64],
        uncalibrated: NDArray[np.float64],
        predicted: NDArray[np.int64],
        labels: NDArray[np.int64],
    ) -> "MetricSet":
        """Prepare the metrics of predictions: float64 (N, classes) twice, int64 (N,) twice."""
        classes = probabilities.shape[1]
        class_counts = _ClassCounts(predicted, labels, classes)
        rankings = [_Ranking(probabilities[:, label], labels == label) for label in range(classes)]
        correct = predicted == labels
        rows = np.arange(len(labels))

        def measure(weights: Weights) -> MetricValues:
            auc = np.stack([ranking.compute_auc(weights) for ranking in rankings], axis=1)
            precision, recall, f1 = class_counts.compute_class_metrics(weights)
            overall = [
                class_counts.compute_accuracy(weights),
                _average_defined(recall),
                _average_defined(f1),
                _average_defined(auc),
                compute_log_losses(probabilities, labels, weights),
                compute_calibration_errors(probabilities[rows, predicted], correct, weights),
                compute_calibration_errors(uncalibrated[rows, predicted], correct, weights),
            ]
            return np.concatenate([np.stack(overall, axis=1), precision, recall, f1, auc], axis=1)

        keys: list[MetricKey] = [(name, None) for name in _OVERALL_METRICS]
        keys += [(name, label) for name in _CLASS_METRICS for label in range(classes)]
        return cls(tuple(keys), measure)


class _ClassCounts:
    """Computes the metrics that depend on the predicted classes alone."""

    def __init__(self, predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> None:
        # One-hot float32: a matrix product then counts pictures for all weightings at once.
        one_hot = np.eye(classes, dtype=np.float32)
        self._correct = (predicted == labels).astype(np.float32)
        self._predicted = one_hot[predicted]
        self._actual = one_hot[labels]
        self._true_positives = self._actual * self._correct[:, None]

    def compute_accuracy(self, weights: Weights) -> MetricValues:
        return np.asarray((weights @ self._correct) / weights.sum(axis=1), np.float64)

    def compute_class_metrics(self, weights: Weights) -> tuple[MetricValues, MetricValues, MetricValues]:
        """Return precision, recall and F1, each float64 (R, classes).

        Precision is NaN where a class was never predicted, recall and F1 where no picture is of it.
        """
        predicted, actual, true_positives = (
            (weights @ one_hot).astype(np.float64)
            for one_hot in (self._predicted, self._actual, self._true_positives)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = np.where(actual > 0, 2 * true_positives / (predicted + actual), np.nan)
            return true_positives / predicted, true_positives / actual, f1


class _Ranking:
    """Computes the area under the ROC curve of one class against the rest; ties count half."""

    def __init__(self, probabilities: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> None:
        # The order is the same for every weighting: sorting once is what makes 1000 resamples affordable.
        self._order = np.argsort(probabilities, kind="stable")
        ordered = probabilities[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
        self._is_positive = is_positive[self._order].astype(np.float32)

    def compute_auc(self, weights: Weights) -> MetricValues:
        """Return the share of pairs of a positive and a negative picture that are in order: float64 (R,)."""
        ordered = weights[:, self._order]
        positive = np.add.reduceat(ordered * self._is_positive, self._starts, axis=1, dtype=np.float64)
        total = np.add.reduceat(ordered, self._starts, axis=1, dtype=np.float64)
        negative = total - positive
        negatives_below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(invalid="ignore"):
            auc: MetricValues = (positive * negatives_below).sum(axis=1) / pairs
        return auc


def _average_defined(class_values: MetricValues) -> MetricValues:
    """Return the mean over the classes whose value is defined, NaN where none is: float64 (R,)."""
    # Not nanmean(), which warns of rows without a defined value.
    is_defined = ~np.isnan(class_values)
    with np.errstate(invalid="ignore"):
        mean: MetricValues = np.where(is_defined, class_values, 0.0).sum(axis=1) / is_defined.sum(axis=1)
    return mean
