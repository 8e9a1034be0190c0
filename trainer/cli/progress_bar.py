"""Show how far a training is: a bar on a terminal, and one line for each epoch."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from trainer.training.progress import Epoch, Progress, Step


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Yield what a pipeline reports to, and show it. Raises Abort where a person interrupts the body."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    bars = Bars(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[score]}"),
        TextColumn("{task.fields[time_left]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        expand=True,
    )
    with bars:
        try:
            yield _make_progress(console, bars)
        except KeyboardInterrupt as interrupt:
            click.echo("stopped; the same command resumes after the last complete epoch", err=True)
            raise click.Abort from interrupt


def format_epoch(epoch: Epoch) -> str:
    """Return one line with all metrics of an epoch."""
    line = f"epoch {epoch.number}: loss {epoch.loss:.4f}, {epoch.score_name} {epoch.score:.1%}; "
    if epoch.validation is not None:
        line += (
            f"validation loss {epoch.validation.loss:.4f}, accuracy {epoch.validation.accuracy:.1%}, "
            f"mean recall {epoch.validation.mean_recall:.1%}; "
        )
    return f"{line}{epoch.seconds:.1f} s"


def _make_progress(console: Console, bars: Bars) -> Progress:
    task: TaskID | None = None

    def on_step(step: Step) -> None:
        nonlocal task
        if task is None:
            task = bars.add_task("", total=1.0, epoch=0, epochs=0, loss=0.0, score="", time_left="")
        bars.update(
            task,
            completed=step.progress,
            epoch=step.epoch,
            epochs=step.epochs,
            loss=step.loss,
            score=f"{step.score_name} {step.score:.1%}",
            time_left=_format_time_left(step.seconds_left),
        )

    def on_epoch(epoch: Epoch) -> None:
        console.print(format_epoch(epoch))

    return Progress(console.print, on_epoch, on_step)


def _format_time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
