"""Learning curves: loss and accuracy, epoch by epoch."""

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
    """Return the loss and the accuracy curve; none where the study knows no epochs."""
    if not study.epochs:
        return []
    last, last_validation = study.epochs[-1], _list_validation(study)[-1]
    best = f"; the bundle has the weights of epoch {study.best_epoch}" if study.best_epoch else ""
    return [
        Chart(
            "loss",
            "Loss",
            f"Lower is better{best}. Training loss is measured during the epoch, on augmented pictures.",
            f"After {len(study.epochs)} epochs, training loss {last.loss:.3f}, validation loss "
            f"{last_validation.loss:.3f}",
            partial(_draw_loss, study),
        ),
        Chart(
            "accuracy",
            "Accuracy",
            "Training accuracy, measured on augmented pictures too, may stay below validation accuracy.",
            f"After {len(study.epochs)} epochs, training accuracy {last.score:.1%}, validation "
            f"accuracy {last_validation.accuracy:.1%}",
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


def _add_epoch_axes(study: Study, figure: Figure, theme: Theme, metric: str) -> Axes:
    axes = add_axes(figure, theme)
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if study.best_epoch:
        axes.axvline(study.best_epoch, color=theme.muted, linewidth=1, linestyle=":", label="best epoch")
    return axes


def _draw_line(
    axes: Axes, epochs: Sequence["Epoch"], values: Sequence[float], colour: str, name: str
) -> None:
    marker = "o" if len(epochs) < 3 else None  # a line of one point would not be visible
    axes.plot([epoch.number for epoch in epochs], values, color=colour, label=name, marker=marker)
