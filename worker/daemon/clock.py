"""The clocks that a worker goes by, so that tests can put others in their place."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks: `monotonic` for what is due, `wall` (seconds since 1970) for ctimes and the log."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
