"""Show how far a training is: a bar on a terminal, one line an epoch elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from trainer.training.progress import Epoch, Progress, Step

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Lend the records that are shown while the body runs. Raises Abort where a person stops it."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    bars = Bars(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[score]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        expand=True,
    )
    with bars:
        try:
            yield _make_progress(console, bars)
        except KeyboardInterrupt as stop:
            click.echo("stopped; the same command goes on after the last whole epoch", err=True)
            raise click.Abort from stop


def _make_progress(console: Console, bars: Bars) -> Progress:
    task: TaskID | None = None

    def on_step(step: Step) -> None:
        nonlocal task
        if task is None:
            task = bars.add_task("", total=1.0, epoch=0, epochs=0, loss=0.0, score="", left="")
        bars.update(
            task,
            completed=step.progress,
            epoch=step.epoch,
            epochs=step.epochs,
            loss=step.loss,
            score=f"{step.score_name} {step.score:.1%}",
            left=_format_time_left(step.seconds_left),
        )

    def on_epoch(epoch: Epoch) -> None:
        console.print(
            f"epoch {epoch.number}: loss {epoch.loss:.4f}, accuracy {epoch.training_accuracy:.1%}; "
            f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.accuracy:.1%}, "
            f"mean recall {epoch.recall:.1%}; {epoch.seconds:.1f} s"
        )

    return Progress(console.print, on_epoch, on_step)


def _format_time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"
