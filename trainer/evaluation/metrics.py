"""Measure what a network answered, every figure with the interval that so many pictures allow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bootstrap import RESAMPLES, compute_percentile_intervals
from trainer.evaluation.calibration import simulate_calibrated_errors
from trainer.evaluation.intervals import auc_interval, f1_interval, mean_interval
from trainer.evaluation.metric_set import MetricSet
from worker.inference.bundle import Metric
from worker.inference.fusion import softmax
from worker.stats import wilson_interval

Interval = tuple[float, float]

_ERRORS = ("calibration_error", "calibration_error_uncalibrated")

_HONEST = 0.975
"""The quantile of honest confidences' errors up to which an error may be noise alone."""

_NUMBERS = ("auc", "log_loss", "calibration_error")
"""What the names of figures begin with that are not given in percent."""


@dataclass(frozen=True, slots=True)
class LabeledPredictions:
    """What a network said of N pictures whose classes are known.

    `chances` is float64 (N, classes), the calibrated probabilities; `uncalibrated` the same before
    temperature scaling; `predicted` and `labels` int64 (N,). `groups` int64 (N,) numbers the groups of
    near-duplicates, which intervals draw as one; where they are not known each picture is a group of its own.
    """

    probabilities: NDArray[np.float64]
    uncalibrated: NDArray[np.float64]
    predicted: NDArray[np.int64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]

    def confidence(self) -> NDArray[np.float64]:
        """Return the calibrated probability of each predicted class, float64 (N,)."""
        confidence: NDArray[np.float64] = self.probabilities[np.arange(len(self.labels)), self.predicted]
        return confidence

    def right(self) -> NDArray[np.bool_]:
        """Return which predictions are right, bool (N,)."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right


def make_predictions(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    temperature: float,
    groups: NDArray[np.int64] | None = None,
) -> LabeledPredictions:
    """Turn logits, float32 (N, classes), into the most probable classes and their probabilities."""
    return LabeledPredictions(
        probabilities=softmax(logits / temperature),
        uncalibrated=softmax(logits),
        predicted=logits.argmax(axis=1).astype(np.int64),
        labels=labels,
        groups=np.arange(len(labels)) if groups is None else groups,
    )


def compute_metrics(
    answers: LabeledPredictions,
    classes: tuple[str, ...],
    test_set: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Return every figure that is defined on these pictures, those of all classes first.

    An interval is the percentile bootstrap's. For shares, and what is made of shares, it is at least as wide
    as the closed form that holds where the bootstrap fails: with 20 of 20 right it would claim certainty.
    The calibration error's is reflected at its value, because resampling adds to an error that is
    never negative, and begins at 0 where honest confidences would show as large an error.
    """
    figures = MetricSet.of(answers.probabilities, answers.uncalibrated, answers.predicted, answers.labels)
    values = figures.measure(np.ones((1, len(answers.labels)), np.float32))[0]
    lows, highs = compute_percentile_intervals(figures.measure, answers.groups, seed, resamples)
    closed = _compute_closed_intervals(answers, dict(zip(figures.keys, values, strict=True)), len(classes))
    metrics = []
    for key, value, low, high in zip(figures.keys, values, lows, highs, strict=True):
        name, label = key
        if np.isnan(value) and name != "precision":
            continue
        if name in _ERRORS:
            low, high = _compute_calibration_interval(answers, name, (value, low, high), seed, resamples)
        low, high = _widen_interval(value, (low, high), closed.get(key))
        shown = None if label is None else classes[label]
        pictures = _count_pictures(answers, name, label)
        metrics.append(Metric(name, shown, float(np.nan_to_num(value)), low, high, test_set, pictures))
    return tuple(metrics)


def _compute_calibration_interval(
    answers: LabeledPredictions, name: str, found: tuple[float, float, float], seed: int, resamples: int
) -> Interval:
    value, low, high = found
    chances = answers.probabilities if name == "calibration_error" else answers.uncalibrated
    confidence = chances[np.arange(len(answers.labels)), answers.predicted]
    honest = simulate_calibrated_errors(confidence, answers.groups, seed, resamples)
    least = 0.0 if value <= np.quantile(honest, _HONEST) else 2 * value - high
    return least, 2 * value - low


def _compute_closed_intervals(
    answers: LabeledPredictions, values: dict[tuple[str, int | None], float], classes: int
) -> dict[tuple[str, int | None], Interval]:
    labels, predicted, right = answers.labels, answers.predicted, answers.right()
    found: dict[tuple[str, int | None], Interval] = {
        ("accuracy", None): wilson_interval(int(right.sum()), len(right))
    }
    for label in range(classes):
        hits = int((right & (labels == label)).sum())
        named, there = int((predicted == label).sum()), int((labels == label).sum())
        found["precision", label] = wilson_interval(hits, named)
        found["recall", label] = wilson_interval(hits, there)
        found["f1", label] = f1_interval(hits, named + there - hits)
        auc = values["auc", label]
        if not np.isnan(auc):
            found["auc", label] = auc_interval(auc, there, len(labels) - there)
    for name, of in (("balanced_accuracy", "recall"), ("f1", "f1"), ("auc", "auc")):
        parts = [
            (values[of, label], *found[of, label])
            for label in range(classes)
            if not np.isnan(values[of, label])
        ]
        if parts:
            found[name, None] = mean_interval(np.array(parts))
    return found


def _widen_interval(value: float, resampled: Interval, closed: Interval | None) -> Interval:
    ends = [end for end in (*resampled, *(closed or ()), value) if not np.isnan(end)]
    return float(max(0.0, min(ends))), float(max(ends))


def _count_pictures(answers: LabeledPredictions, name: str, label: int | None) -> int:
    if label is None:
        return len(answers.labels)
    if name == "precision":
        return int((answers.predicted == label).sum())
    return int((answers.labels == label).sum())


def format_value(metric: Metric, value: float) -> str:
    """Return a value of the metric as people write it: shares in percent, what is none as a number."""
    if metric.name.startswith(_NUMBERS):
        return f"{value:.3f}"
    return f"{value:.1%}"


def format_interval(metric: Metric) -> str:
    """Return the metric's interval as people write it."""
    return f"{format_value(metric, metric.low)} to {format_value(metric, metric.high)}"
