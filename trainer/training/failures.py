"""How a training ends that comes to nothing."""

from worker.errors import MoodsortError


class Diverged(MoodsortError):
    """The loss is no longer a number: another seed, or cleaner pictures, may help."""


class OutOfTime(MoodsortError):
    """The time is over before anything was learnt."""
