"""Charts of how far the network's confidence can be trusted, and what is gained by using it."""

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
from trainer.report.theme import Chart, Theme, add_axes, add_legend
from worker.stats import wilson_interval

_MOST_POINTS = 300
_COLUMNS = 20


def make_confidence_charts(study: Study) -> list[Chart]:
    """Return the reliability diagram, the histogram of confidences and the coverage curve."""
    errors = {metric.name: metric.value for metric in study.metrics if metric.label is None}
    before, after = errors["calibration_error_uncalibrated"], errors["calibration_error"]
    return [
        Chart(
            "reliability",
            "Reliability",
            "On the dotted line, 80% sure means 80% right. Each point is as many pictures as the next, with "
            "its 95% interval.",
            f"Accuracy against confidence; calibration error {before:.3f} before temperature scaling, "
            f"{after:.3f} after",
            partial(_draw_reliability, study),
        ),
        Chart(
            "confidence",
            "Confidence",
            "How sure the network was of the pictures that it got right and wrong.",
            "Histogram of confidence, right and wrong apart",
            partial(_draw_histogram, study),
        ),
        Chart(
            "coverage",
            "What review would gain",
            "The more of the unsure go to review, the more of the rest is right. Band: 95% interval.",
            describe_coverage(study),
            partial(_draw_coverage, study),
        ),
    ]


def describe_coverage(study: Study) -> str:
    """Say which `min_confidence` is suggested, by which pictures, and what it does to the test."""
    if study.validation is None:
        chosen_on, source = study.test, "these pictures"
    else:
        chosen_on, source = study.validation, "the validation pictures"
    threshold = suggest_threshold(chosen_on)
    target = f"{TARGET_ACCURACY:.0%}"
    if threshold is None:
        return f"No min_confidence reaches {target} right on {source}."
    if threshold == 0:
        return f"{target} of {source} are right without sending any to review: min_confidence = 0."
    kept = measure_coverage(study.test, threshold)
    low, high = kept.interval
    return (
        f"min_confidence = {threshold:.2f} is the least that reaches {target} right on {source}. "
        f"Of the test pictures it keeps {kept.coverage:.0%}, {kept.accuracy:.1%} of them right "
        f"({low:.1%} to {high:.1%}); the rest goes to review."
    )


def _draw_reliability(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    answers = study.test
    everyone = np.arange(len(answers.labels))
    raw = answers.uncalibrated[everyone, answers.predicted]
    right = answers.right()
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=":")
    before, after = compute_reliability(raw, right), compute_reliability(answers.confidence(), right)
    axes.plot(
        before.confidence, before.accuracy, "o--", color=theme.muted, markersize=3, label="before scaling"
    )
    _draw_intervals(axes, after, theme.series[0])
    least = min(before.confidence.min(), after.confidence.min(), after.low.min(), before.accuracy.min())
    axes.set_xlim(max(0.0, min(before.confidence.min(), after.confidence.min()) - 0.03), 1.02)
    axes.set_ylim(max(0.0, least - 0.03), 1.02)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    _format_axes(axes)
    add_legend(axes, theme, "lower right")


def _draw_intervals(axes: Axes, found: Reliability, colour: str) -> None:
    ends = np.maximum(0, [found.accuracy - found.low, found.high - found.accuracy])
    axes.errorbar(
        found.confidence,
        found.accuracy,
        yerr=ends,
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
    confidence, right = study.test.confidence(), study.test.right()
    edges = np.linspace(min(0.5, float(confidence.min())), 1, _COLUMNS + 1)
    axes.hist(
        [confidence[right], confidence[~right]],
        list(edges),
        stacked=True,
        color=[theme.series[0], theme.series[1]],
        label=["right", "wrong"],
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
        kept = measure_coverage(study.test, threshold)
        axes.plot(
            [kept.coverage],
            [kept.accuracy],
            "D",
            color=theme.series[1],
            label=f"min_confidence {threshold:.2f}",
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(None, 1.01)
    axes.set_xlabel("pictures kept, the surest first")
    axes.set_ylabel("right among them")
    _format_axes(axes)
    add_legend(axes, theme, "lower left")


def _draw_curve(axes: Axes, answers: LabeledPredictions, colour: str, name: str, style: str) -> None:
    curve = compute_coverage_curve(answers)
    # The first few pictures are too few for an accuracy, and one mistake there would squeeze all else.
    chosen = _choose_points(curve.coverage, len(answers.labels))
    axes.plot(curve.coverage[chosen], curve.accuracy[chosen], style, color=colour, label=name)


def _draw_band(axes: Axes, answers: LabeledPredictions, colour: str) -> None:
    curve = compute_coverage_curve(answers)
    chosen = _choose_points(curve.coverage, len(answers.labels))
    counts = np.rint(curve.coverage[chosen] * len(answers.labels)).astype(int)
    ends = [
        wilson_interval(round(float(share) * int(count)), int(count))
        for share, count in zip(curve.accuracy[chosen], counts, strict=True)
    ]
    low, high = zip(*ends, strict=True)
    axes.fill_between(curve.coverage[chosen], low, high, color=colour, alpha=0.15, linewidth=0)


def _choose_points(coverage: NDArray[np.float64], pictures: int) -> NDArray[np.int64]:
    first = int(np.searchsorted(coverage, min(1.0, max(0.05, 10 / pictures))))
    return np.unique(np.linspace(first, len(coverage) - 1, _MOST_POINTS).astype(np.int64))


def _format_axes(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
