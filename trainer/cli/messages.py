"""Tell on standard error what a command does, and how far it is."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from worker.paths import printable


def say(sentence: str) -> None:
    """Print a sentence, whatever names are in it."""
    click.echo(printable(sentence), err=True)


@contextmanager
def unheard() -> Iterator[None]:
    """Turn away what libraries write to descriptor 2 past Python, as LiteRT does with its first network."""
    sys.stderr.flush()
    shown = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)


@contextmanager
def bar(task: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how far it is, on a terminal; lend what is called for each step."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        number = progress.add_task(task, total=total)
        yield lambda: progress.advance(number)
