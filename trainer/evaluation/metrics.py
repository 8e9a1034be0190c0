"""Measure predictions for pictures whose classes are known, every metric with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bootstrap import RESAMPLES, compute_percentile_intervals
from trainer.evaluation.calibration import simulate_calibrated_errors
from trainer.evaluation.intervals import Interval, auc_interval, f1_interval, mean_interval
from trainer.evaluation.metric_set import MetricKey, MetricSet
from worker.inference.fusion import calibrate_logits, softmax
from worker.inference.manifest import Calibration, Metric
from worker.stats import wilson_interval

_CALIBRATION_ERRORS = ("calibration_error", "calibration_error_uncalibrated")

_NOISE_QUANTILE = 0.975
"""The quantile of the errors of perfectly calibrated confidences up to which an error may be noise alone."""

_NUMBER_PREFIXES = ("auc", "log_loss", "calibration_error")
"""How the names of metrics begin that are not written in percent."""


@dataclass(frozen=True, slots=True)
class LabeledPredictions:
    """A model's predictions for N pictures whose classes are known.

    `probabilities` is float64 (N, classes), calibrated; `uncalibrated` is the same before temperature
    scaling. `predicted` and `labels` are int64 (N,). `groups`, int64 (N,), numbers the groups of
    near-duplicates, which are resampled as one; where they are not known, each picture is its own group.
    """

    probabilities: NDArray[np.float64]
    uncalibrated: NDArray[np.float64]
    predicted: NDArray[np.int64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The calibrated probability of each predicted class, float64 (N,)."""
        confidence: NDArray[np.float64] = self.probabilities[np.arange(len(self.labels)), self.predicted]
        return confidence

    @property
    def raw_confidence(self) -> NDArray[np.float64]:
        """The probability of each predicted class before temperature scaling, float64 (N,)."""
        confidence: NDArray[np.float64] = self.uncalibrated[np.arange(len(self.labels)), self.predicted]
        return confidence

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which predictions are correct, bool (N,)."""
        correct: NDArray[np.bool_] = self.predicted == self.labels
        return correct


def make_predictions(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    calibration: Calibration,
    groups: NDArray[np.int64] | None = None,
) -> LabeledPredictions:
    """Turn logits, float32 (N, classes), into the most probable classes and their probabilities."""
    probabilities = calibrate_logits(logits, calibration)
    return LabeledPredictions(
        probabilities=probabilities,
        uncalibrated=softmax(logits),
        predicted=probabilities.argmax(axis=1).astype(np.int64),
        labels=labels,
        groups=np.arange(len(labels)) if groups is None else groups,
    )


def compute_metrics(
    predictions: LabeledPredictions,
    classes: tuple[str, ...],
    test_set: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Return every metric that is defined on these pictures, those of all classes first.

    Intervals are percentile bootstrap intervals. For shares, and for metrics made of shares, they are at
    least as wide as the closed form, which holds where the bootstrap fails: with 20 of 20 correct the
    bootstrap would claim certainty.
    """
    metric_set = MetricSet.from_predictions(
        predictions.probabilities, predictions.uncalibrated, predictions.predicted, predictions.labels
    )
    values = metric_set.measure(np.ones((1, len(predictions.labels)), np.float32))[0]
    lows, highs = compute_percentile_intervals(metric_set.measure, predictions.groups, seed, resamples)
    values_by_key = dict(zip(metric_set.keys, values.tolist(), strict=True))
    closed_intervals = _compute_closed_intervals(predictions, values_by_key, len(classes))
    metrics = []
    for (key, value), low, high in zip(values_by_key.items(), lows, highs, strict=True):
        name, label = key
        if np.isnan(value) and name != "precision":
            continue
        if name in _CALIBRATION_ERRORS:
            low, high = _compute_calibration_interval(predictions, name, (value, low, high), seed, resamples)
        low, high = _widen_interval(value, (low, high), closed_intervals.get(key))
        label_name = None if label is None else classes[label]
        pictures = _count_pictures(predictions, name, label)
        metrics.append(Metric(name, label_name, float(np.nan_to_num(value)), low, high, test_set, pictures))
    return tuple(metrics)


def _compute_calibration_interval(
    predictions: LabeledPredictions,
    name: str,
    estimate: tuple[float, float, float],
    seed: int,
    resamples: int,
) -> Interval:
    """Reflect the bootstrap interval of a calibration error, given as value, low and high, at its value.

    Resampling adds noise, which raises an error that is never negative: the bootstrap interval lies too
    high by about as much as its values exceed the measured one. The interval begins at 0 where perfectly
    calibrated confidences would show as large an error.
    """
    value, low, high = estimate
    is_calibrated = name == "calibration_error"
    confidence = predictions.confidence if is_calibrated else predictions.raw_confidence
    noise = simulate_calibrated_errors(confidence, predictions.groups, seed, resamples)
    lower_end = 0.0 if value <= np.quantile(noise, _NOISE_QUANTILE) else 2 * value - high
    return lower_end, 2 * value - low


def _compute_closed_intervals(
    predictions: LabeledPredictions, values: Mapping[MetricKey, float], classes: int
) -> dict[MetricKey, Interval]:
    labels, predicted, correct = predictions.labels, predictions.predicted, predictions.correct
    intervals: dict[MetricKey, Interval] = {
        ("accuracy", None): wilson_interval(int(correct.sum()), len(correct))
    }
    for label in range(classes):
        true_positives = int((correct & (labels == label)).sum())
        predicted_count, label_count = int((predicted == label).sum()), int((labels == label).sum())
        intervals["precision", label] = wilson_interval(true_positives, predicted_count)
        intervals["recall", label] = wilson_interval(true_positives, label_count)
        union = predicted_count + label_count - true_positives
        intervals["f1", label] = f1_interval(true_positives, union)
        auc = values["auc", label]
        if not np.isnan(auc):
            intervals["auc", label] = auc_interval(auc, label_count, len(labels) - label_count)
    for name, class_metric in (("balanced_accuracy", "recall"), ("f1", "f1"), ("auc", "auc")):
        estimates = [
            (values[class_metric, label], *intervals[class_metric, label])
            for label in range(classes)
            if not np.isnan(values[class_metric, label])
        ]
        if estimates:
            intervals[name, None] = mean_interval(np.array(estimates))
    return intervals


def _widen_interval(value: float, resampled: Interval, closed: Interval | None) -> Interval:
    ends = [end for end in (*resampled, *(closed or ()), value) if not np.isnan(end)]
    return float(max(0.0, min(ends))), float(max(ends))


def _count_pictures(predictions: LabeledPredictions, name: str, label: int | None) -> int:
    if label is None:
        return len(predictions.labels)
    if name == "precision":
        return int((predictions.predicted == label).sum())
    return int((predictions.labels == label).sum())


def format_value(metric: Metric, value: float) -> str:
    """Return a value of the metric for people: shares in percent, anything else as a number."""
    if metric.name.startswith(_NUMBER_PREFIXES):
        return f"{value:.3f}"
    return f"{value:.1%}"


def format_interval(metric: Metric) -> str:
    """Return the metric's interval for people."""
    return f"{format_value(metric, metric.low)} to {format_value(metric, metric.high)}"
