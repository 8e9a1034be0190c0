"""The clocks of a worker, in one object, so that tests can put others in their place."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds: `monotonic` tells what is due; `wall`, since 1970, is compared with ctimes and logged."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
