"""Charts of what the network gets right and wrong: confusion matrix, precision-recall and ROC curves."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from trainer.report.study import Study
from trainer.report.theme import Chart, Theme, add_axes, add_legend

_FEW = 4
"""Classes up to which every cell is written, and names lie flat."""

_MOST_NUMBERS = 20
"""Classes up to which a cell has room for its numbers."""

_MOST_LINES = 8
"""Classes that have a curve each: as many as there are colours."""

_MOST_POINTS = 400


def make_classification_charts(study: Study) -> list[Chart]:
    """Return the confusion matrix, the precision-recall curves and the ROC curves."""
    classes = len(study.classes)
    side = 3.3 if classes <= _FEW else min(9.0, max(4.2, 0.4 * classes))
    whose = "" if classes <= _MOST_LINES else f" Shown are the {_MOST_LINES} classes that do worst."
    areas = ", ".join(
        f"{metric.label} {metric.value:.3f}"
        for metric in study.metrics
        if metric.name == "auc" and metric.label in choose_classes(study)
    )
    return [
        Chart(
            "confusion",
            "Confusion matrix",
            "Each row is a true class; a cell says how many of its pictures were taken for which class.",
            _describe_confusion(study),
            partial(_draw_confusion, study),
            (side * 4.6 / 3.3, side),
        ),
        Chart(
            "precision-recall",
            "Precision and recall",
            f"As the threshold for a class falls, more of it is found, and more else is taken for it.{whose}",
            f"Precision against recall of each class.{whose}",
            partial(_draw_precision_recall, study),
        ),
        Chart(
            "roc",
            "ROC",
            f"Each class against the rest; the area under it is the AUC. The dotted line is guessing.{whose}",
            f"True against false positive rate; area under the curve: {areas}",
            partial(_draw_roc, study),
        ),
    ]


def choose_classes(study: Study) -> list[str]:
    """Return the classes that have a curve: all, or those of least area."""
    areas = {metric.label: metric.value for metric in study.metrics if metric.name == "auc" and metric.label}
    worst = sorted(areas, key=areas.__getitem__)[:_MOST_LINES]
    return [name for name in study.classes if name in worst]


def compute_confusion(study: Study) -> NDArray[np.int64]:
    """Count the test pictures of each class (rows) taken for each class (columns): int64 (C, C)."""
    count = len(study.classes)
    pairs = study.test.labels * count + study.test.predicted
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def _describe_confusion(study: Study) -> str:
    table = compute_confusion(study)
    return "; ".join(
        f"of {row.sum()} {name}, {row[place]} right"
        for place, (name, row) in enumerate(zip(study.classes, table, strict=True))
    )


def _draw_confusion(study: Study, figure: Figure, theme: Theme) -> None:
    table = compute_confusion(study)
    count = len(table)
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    axes = add_axes(figure, theme)
    axes.grid(visible=False)
    for (row, column), share in np.ndenumerate(shares):
        if share == 0 and count > _FEW:
            continue
        colour = theme.series[0] if row == column else theme.series[1]
        corner = column - 0.48, row - 0.48
        axes.add_patch(
            Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=0.05 + 0.55 * share, linewidth=0)
        )
        if count <= _MOST_NUMBERS:
            size = 11 if count <= _FEW else 9
            text = f"{table[row, column]}\n{share:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=theme.ink, fontsize=size)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    names = [_shorten(name) for name in study.classes]
    axes.set_xticks(range(count), names, rotation=0 if count <= _FEW else 90)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")


def _draw_precision_recall(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    for name, colour in zip(choose_classes(study), theme.series, strict=False):
        hits, taken, positives, _ = _sweep_threshold(study, name)
        chosen = _thin(len(hits))
        recall, precision = hits[chosen] / positives, hits[chosen] / taken[chosen]
        axes.plot(np.r_[0, recall], np.r_[precision[0], precision], color=colour, label=_shorten(name))
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    _format_axes(axes)
    add_legend(axes, theme, "lower left")


def _draw_roc(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=":")
    for name, colour in zip(choose_classes(study), theme.series, strict=False):
        hits, taken, positives, negatives = _sweep_threshold(study, name)
        chosen = _thin(len(hits))
        found, false = hits[chosen] / positives, (taken - hits)[chosen] / negatives
        axes.plot(np.r_[0, false], np.r_[0, found], color=colour, label=_shorten(name))
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    _format_axes(axes)
    add_legend(axes, theme, "lower right")


def _sweep_threshold(study: Study, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Lower the threshold of a class: hits and pictures taken, int64 (M,); its pictures and the others."""
    label = study.classes.index(name)
    scores = study.test.probabilities[:, label]
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    positive = (study.test.labels == label)[order]
    ends = np.flatnonzero(np.r_[ordered[1:] < ordered[:-1], True])
    positives = int(positive.sum())
    return np.cumsum(positive)[ends], ends + 1, positives, len(positive) - positives


def _thin(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(np.int64))


def _format_axes(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _shorten(name: str) -> str:
    # A legend leaves out what begins with an underscore.
    name = f" {name}" if name.startswith("_") else name
    return name if len(name) <= 14 else f"{name[:13]}…"
