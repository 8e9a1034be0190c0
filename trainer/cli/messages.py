"""Print what a command does and has measured, and show how far it is."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from trainer.pipelines.reporter import Reporter
from worker.paths import escape_unprintable

if TYPE_CHECKING:
    from worker.inference.manifest import Metric


def say(sentence: str) -> None:
    """Print a sentence, whatever names are in it."""
    click.echo(escape_unprintable(sentence), err=True)


def print_metrics(metrics: Iterable["Metric"]) -> None:
    """Print each metric with its interval and the pictures that it was measured on."""
    # It needs SciPy, which not every command that prints does.
    from trainer.evaluation.metrics import format_interval, format_value

    for metric in metrics:
        label = f" of {metric.label}" if metric.label is not None else ""
        click.echo(
            f"{metric.name}{label}: {format_value(metric, metric.value)} ({format_interval(metric)}), "
            f"{metric.pictures} pictures of the {metric.test_set}"
        )


@contextmanager
def show_bar(task: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how far a task is, on a terminal; lend what is called after each of its `total` steps."""
    # rich takes long to import, and `--help` shows no bar.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task_id = progress.add_task(task, total=total)
        yield lambda: progress.advance(task_id)


REPORTER = Reporter(say, show_bar)
"""What commands hand to their pipelines."""
