"""Charts of how reliable the confidence is, and of what sending unsure predictions to review gains."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from trainer.evaluation.calibration import Reliability, compute_reliability
from trainer.evaluation.coverage import (
    TARGET_ACCURACY,
    compute_coverage_curve,
    measure_coverage,
    suggest_threshold,
)
from trainer.evaluation.metrics import LabeledPredictions
from trainer.report.study import Study
from trainer.report.theme import Chart, Theme, add_axes, add_legend, format_percent_axes
from worker.stats import wilson_interval

_MAX_POINTS = 300
"""Of a curve: no more can be told apart, and the page would grow with the test set."""

_HISTOGRAM_BINS = 20

_MIN_CURVE_SHARE = 0.05
_MIN_CURVE_PICTURES = 10
"""A coverage curve begins here: the accuracy of fewer pictures is noise that would squeeze all the rest."""


def make_confidence_charts(study: Study) -> list[Chart]:
    """Return the reliability diagram, the histogram of confidences and the coverage curve."""
    errors = {metric.name: metric.value for metric in study.metrics if metric.label is None}
    before, after = errors["calibration_error_uncalibrated"], errors["calibration_error"]
    return [
        Chart(
            "reliability",
            "Reliability diagram",
            "On the dotted line, of predictions with 80% confidence 80% are correct. Every point stands for "
            "the same number of pictures and has its 95% interval.",
            f"Accuracy against confidence; calibration error {before:.3f} before temperature scaling, "
            f"{after:.3f} after",
            partial(_draw_reliability, study),
        ),
        Chart(
            "confidence",
            "Confidence",
            "The confidence of correct and of wrong predictions.",
            "Histogram of confidence, correct and wrong predictions stacked",
            partial(_draw_histogram, study),
        ),
        Chart(
            "coverage",
            "Accuracy and coverage",
            "The more of the unsure predictions go to review, the more of the rest are correct. Band: 95% "
            "interval.",
            describe_coverage(study),
            partial(_draw_coverage, study),
        ),
    ]


def describe_coverage(study: Study) -> str:
    """Say which `min_confidence` is suggested, by which pictures, and what it does to the test pictures."""
    source = "these pictures" if study.validation is None else "the validation pictures"
    threshold = suggest_threshold(study.test if study.validation is None else study.validation)
    target = f"{TARGET_ACCURACY:.0%}"
    if threshold is None:
        return f"No min_confidence reaches an accuracy of {target} on {source}."
    if threshold == 0:
        return f"The accuracy on {source} is {target} or more without review: min_confidence = 0."
    coverage = measure_coverage(study.test, threshold)
    low, high = coverage.interval
    return (
        f"min_confidence = {threshold:.2f} is the lowest with an accuracy of {target} on {source}. "
        f"It covers {coverage.share:.0%} of the test pictures, with an accuracy of {coverage.accuracy:.1%} "
        f"({low:.1%} to {high:.1%}); the rest goes to review."
    )


def _draw_reliability(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    before = compute_reliability(study.test.raw_confidence, study.test.correct)
    after = compute_reliability(study.test.confidence, study.test.correct)
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=":")
    axes.plot(
        before.confidence, before.accuracy, "o--", color=theme.muted, markersize=3, label="before scaling"
    )
    _draw_intervals(axes, after, theme.series[0])
    left = min(before.confidence.min(), after.confidence.min())
    bottom = min(left, after.low.min(), before.accuracy.min())
    axes.set_xlim(max(0.0, left - 0.03), 1.02)
    axes.set_ylim(max(0.0, bottom - 0.03), 1.02)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    format_percent_axes(axes)
    add_legend(axes, theme, "lower right")


def _draw_intervals(axes: Axes, reliability: Reliability, colour: str) -> None:
    accuracy = reliability.accuracy
    # Rounding can put an end on the wrong side of the accuracy, which matplotlib refuses.
    lengths = np.maximum(0, [accuracy - reliability.low, reliability.high - accuracy])
    axes.errorbar(
        reliability.confidence,
        accuracy,
        yerr=lengths,
        fmt="o-",
        color=colour,
        ecolor=colour,
        elinewidth=1,
        capsize=2,
        markersize=4,
        label="after scaling",
    )


def _draw_histogram(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    confidence, correct = study.test.confidence, study.test.correct
    edges = np.linspace(min(0.5, float(confidence.min())), 1, _HISTOGRAM_BINS + 1)
    axes.hist(
        [confidence[correct], confidence[~correct]],
        list(edges),
        stacked=True,
        color=[theme.series[0], theme.series[1]],
        label=["correct", "wrong"],
    )
    axes.set_xlabel("confidence")
    axes.set_ylabel("test pictures")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    add_legend(axes, theme)


def _draw_coverage(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    if study.validation is not None:
        _draw_curve(axes, study.validation, theme.muted, "validation", "--")
    _draw_band(axes, study.test, theme.series[0])
    _draw_curve(
        axes, study.test, theme.series[0], "test" if study.validation is not None else "pictures", "-"
    )
    axes.axhline(TARGET_ACCURACY, color=theme.series[2], linewidth=1, linestyle=":")
    threshold = suggest_threshold(study.test if study.validation is None else study.validation)
    if threshold is not None:
        coverage = measure_coverage(study.test, threshold)
        axes.plot(
            [coverage.share],
            [coverage.accuracy],
            "D",
            color=theme.series[1],
            label=f"min_confidence {threshold:.2f}",
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(None, 1.01)
    axes.set_xlabel("coverage, the surest pictures first")
    axes.set_ylabel("accuracy")
    format_percent_axes(axes)
    add_legend(axes, theme, "lower left")


def _draw_curve(axes: Axes, predictions: LabeledPredictions, colour: str, name: str, style: str) -> None:
    curve = compute_coverage_curve(predictions)
    points = _choose_points(curve.coverage, len(predictions.labels))
    axes.plot(curve.coverage[points], curve.accuracy[points], style, color=colour, label=name)


def _draw_band(axes: Axes, predictions: LabeledPredictions, colour: str) -> None:
    curve = compute_coverage_curve(predictions)
    points = _choose_points(curve.coverage, len(predictions.labels))
    counts = np.rint(curve.coverage[points] * len(predictions.labels)).astype(int)
    ends = [
        wilson_interval(round(float(accuracy) * int(count)), int(count))
        for accuracy, count in zip(curve.accuracy[points], counts, strict=True)
    ]
    low, high = zip(*ends, strict=True)
    axes.fill_between(curve.coverage[points], low, high, color=colour, alpha=0.15, linewidth=0)


def _choose_points(coverage: NDArray[np.float64], pictures: int) -> NDArray[np.int64]:
    start = min(1.0, max(_MIN_CURVE_SHARE, _MIN_CURVE_PICTURES / pictures))
    first = int(np.searchsorted(coverage, start))
    return np.unique(np.linspace(first, len(coverage) - 1, _MAX_POINTS).astype(np.int64))
