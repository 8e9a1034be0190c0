"""How a pipeline shows a person what it does while it runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reporter:
    """What prints a sentence, and what shows a bar.

    `show_bar` takes the name of a task and its number of steps, and lends what is to be called after each.
    """

    say: Callable[[str], None]
    show_bar: Callable[[str, int], AbstractContextManager[Callable[[], None]]]
