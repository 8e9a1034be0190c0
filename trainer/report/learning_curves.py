"""Charts of how the network learned, epoch by epoch."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from trainer.report.study import Study
from trainer.report.theme import Chart, Theme, add_axes, add_legend

if TYPE_CHECKING:
    from trainer.training.progress import Epoch, ValidationMetrics


def make_learning_charts(study: Study) -> list[Chart]:
    """Return the loss and the accuracy curve; none where training was not watched."""
    if not study.epochs:
        return []
    last, last_validation = study.epochs[-1], _list_validation(study)[-1]
    kept = f"; the weights kept are those of epoch {study.best_epoch}" if study.best_epoch else ""
    return [
        Chart(
            "loss",
            "Loss",
            f"Lower is better{kept}. Training loss is of augmented pictures, while they were learnt.",
            f"Over {len(study.epochs)} epochs training loss came to {last.loss:.3f}, validation loss to "
            f"{last_validation.loss:.3f}",
            partial(_draw_loss, study),
        ),
        Chart(
            "accuracy",
            "Accuracy",
            "Training accuracy is of augmented pictures too, so that it may stay under that of validation.",
            f"Over {len(study.epochs)} epochs training accuracy came to {last.score:.1%}, "
            f"validation accuracy to {last_validation.accuracy:.1%}",
            partial(_draw_accuracy, study),
        ),
    ]


def _list_validation(study: Study) -> list["ValidationMetrics"]:
    """Return the validation metrics of each epoch, which those of a classifier have."""
    return [epoch.validation for epoch in study.epochs if epoch.validation is not None]


def _draw_loss(study: Study, figure: Figure, theme: Theme) -> None:
    axes = _add_epoch_axes(study, figure, theme, "loss")
    _draw_line(axes, study.epochs, [epoch.loss for epoch in study.epochs], theme.series[0], "training")
    validation_losses = [metrics.loss for metrics in _list_validation(study)]
    _draw_line(axes, study.epochs, validation_losses, theme.series[1], "validation")
    add_legend(axes, theme)


def _draw_accuracy(study: Study, figure: Figure, theme: Theme) -> None:
    axes = _add_epoch_axes(study, figure, theme, "accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _draw_line(axes, study.epochs, [epoch.score for epoch in study.epochs], theme.series[0], "training")
    accuracies = [metrics.accuracy for metrics in _list_validation(study)]
    _draw_line(axes, study.epochs, accuracies, theme.series[1], "validation")
    add_legend(axes, theme, "lower right")


def _add_epoch_axes(study: Study, figure: Figure, theme: Theme, what: str) -> Axes:
    axes = add_axes(figure, theme)
    axes.set_xlabel("epoch")
    axes.set_ylabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if study.best_epoch:
        axes.axvline(study.best_epoch, color=theme.muted, linewidth=1, linestyle=":", label="kept")
    return axes


def _draw_line(
    axes: Axes, epochs: Sequence["Epoch"], values: Sequence[float], colour: str, name: str
) -> None:
    marker = "o" if len(epochs) < 3 else None
    axes.plot([epoch.number for epoch in epochs], values, color=colour, label=name, marker=marker)
