"""Charts of correct and wrong predictions: confusion matrix, precision-recall and ROC curves."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from trainer.report.study import Study
from trainer.report.theme import Chart, Theme, add_axes, add_legend, format_percent_axes

_FEW_CLASSES = 4
"""Up to so many classes, empty cells are drawn as well, and names are written horizontally."""

_MAX_CLASSES_WITH_NUMBERS = 20
"""Up to so many classes, a cell has room for its numbers."""

_MAX_CURVES = 8
"""Classes that have a curve each: as many as there are colours."""

_MAX_POINTS = 400
"""Of a curve: no more can be told apart, and the page would grow with the test set."""


def make_classification_charts(study: Study) -> list[Chart]:
    """Return the confusion matrix, the precision-recall curves and the ROC curves."""
    classes = len(study.classes)
    side = 3.3 if classes <= _FEW_CLASSES else min(9.0, max(4.2, 0.4 * classes))
    selection = "" if classes <= _MAX_CURVES else f" Only the {_MAX_CURVES} classes of lowest AUC are shown."
    areas = ", ".join(
        f"{metric.label} {metric.value:.3f}"
        for metric in study.metrics
        if metric.name == "auc" and metric.label in choose_classes(study)
    )
    return [
        Chart(
            "confusion",
            "Confusion matrix",
            "Each row is a true class; a cell counts its pictures with one predicted class, and their share.",
            _describe_confusion(study),
            partial(_draw_confusion, study),
            (side * 4.6 / 3.3, side),
        ),
        Chart(
            "precision-recall",
            "Precision-recall curve",
            f"As the threshold for a class falls, recall rises, and precision usually falls.{selection}",
            f"Precision against recall of each class.{selection}",
            partial(_draw_precision_recall, study),
        ),
        Chart(
            "roc",
            "ROC curve",
            f"Each class against the rest; the area under a curve is the AUC. Dotted: chance.{selection}",
            f"True against false positive rate; area under the curve: {areas}",
            partial(_draw_roc, study),
        ),
    ]


def choose_classes(study: Study) -> list[str]:
    """Return the classes that have a curve: all, or those of lowest AUC."""
    aucs = {metric.label: metric.value for metric in study.metrics if metric.name == "auc" and metric.label}
    worst = sorted(aucs, key=aucs.__getitem__)[:_MAX_CURVES]
    return [name for name in study.classes if name in worst]


def compute_confusion(study: Study) -> NDArray[np.int64]:
    """Count the test pictures by true class (rows) and predicted class (columns): int64 (C, C)."""
    count = len(study.classes)
    pairs = study.test.labels * count + study.test.predicted
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def _describe_confusion(study: Study) -> str:
    table = compute_confusion(study)
    return "; ".join(
        f"of {row.sum()} {name}, {row[label]} correct"
        for label, (name, row) in enumerate(zip(study.classes, table, strict=True))
    )


def _draw_confusion(study: Study, figure: Figure, theme: Theme) -> None:
    table = compute_confusion(study)
    count = len(table)
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    axes = add_axes(figure, theme)
    axes.grid(visible=False)
    for (row, column), share in np.ndenumerate(shares):
        if share == 0 and count > _FEW_CLASSES:
            continue
        colour = theme.series[0] if row == column else theme.series[1]
        corner = column - 0.48, row - 0.48
        axes.add_patch(
            Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=0.05 + 0.55 * share, linewidth=0)
        )
        if count <= _MAX_CLASSES_WITH_NUMBERS:
            size = 11 if count <= _FEW_CLASSES else 9
            text = f"{table[row, column]}\n{share:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=theme.ink, fontsize=size)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    names = [_shorten(name) for name in study.classes]
    axes.set_xticks(range(count), names, rotation=0 if count <= _FEW_CLASSES else 90)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def _draw_precision_recall(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    for name, colour in zip(choose_classes(study), theme.series, strict=False):
        sweep = _sweep_threshold(study, name)
        recall = sweep.true_positives / sweep.positives
        precision = sweep.true_positives / sweep.predicted
        axes.plot(np.r_[0, recall], np.r_[precision[0], precision], color=colour, label=_shorten(name))
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    _format_axes(axes)
    add_legend(axes, theme, "lower left")


def _draw_roc(study: Study, figure: Figure, theme: Theme) -> None:
    axes = add_axes(figure, theme)
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=":")
    for name, colour in zip(choose_classes(study), theme.series, strict=False):
        sweep = _sweep_threshold(study, name)
        true_rate = sweep.true_positives / sweep.positives
        false_rate = (sweep.predicted - sweep.true_positives) / sweep.negatives
        axes.plot(np.r_[0, false_rate], np.r_[0, true_rate], color=colour, label=_shorten(name))
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    _format_axes(axes)
    add_legend(axes, theme, "lower right")


@dataclass(frozen=True, slots=True)
class _ThresholdSweep:
    """What predicting a class from ever lower probabilities gives, M thresholds each int64 (M,).

    `predicted` counts the pictures at or above the threshold, `true_positives` those of them that are of the
    class. `positives` and `negatives` count the pictures that are of the class and that are not.
    """

    predicted: NDArray[np.int64]
    true_positives: NDArray[np.int64]
    positives: int
    negatives: int


def _sweep_threshold(study: Study, name: str) -> _ThresholdSweep:
    label = study.classes.index(name)
    probabilities = study.test.probabilities[:, label]
    order = np.argsort(-probabilities, kind="stable")
    ordered = probabilities[order]
    is_positive = (study.test.labels == label)[order]
    # Pictures of equal probability pass the threshold together: only the last of them is a point.
    ends = np.flatnonzero(np.r_[ordered[1:] < ordered[:-1], True])
    ends = ends[_choose_points(len(ends))]
    positives = int(is_positive.sum())
    return _ThresholdSweep(
        ends + 1, np.cumsum(is_positive)[ends], positives, negatives=len(is_positive) - positives
    )


def _choose_points(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, _MAX_POINTS)).astype(np.int64))


def _format_axes(axes: Axes) -> None:
    # A little beyond 0 and 1, or the frame would hide half of a line that lies there.
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    format_percent_axes(axes)


def _shorten(name: str) -> str:
    # matplotlib leaves names that begin with an underscore out of the legend.
    name = f" {name}" if name.startswith("_") else name
    return name if len(name) <= 14 else f"{name[:13]}…"
