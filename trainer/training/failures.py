"""The error that ends a training without a network."""

from worker.errors import MoodsortError


class Diverged(MoodsortError):
    """The loss is no longer a number: another seed, or cleaner pictures, may help."""
