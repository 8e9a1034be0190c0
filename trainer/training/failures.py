"""The errors that end a training without a network."""

from worker.errors import MoodsortError


class Diverged(MoodsortError):
    """The loss is no longer a number: another seed, or cleaner pictures, may help."""


class OutOfTime(MoodsortError):
    """The time budget is used up before the first step."""
