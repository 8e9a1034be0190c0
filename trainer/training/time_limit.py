"""Keep a training and what follows it within a time: estimate when the last step has to begin."""

from collections.abc import Callable
from dataclasses import dataclass

_FIXED_SECONDS = 6.0
_FIRST_STEPS = 2.0
_CALIBRATION_RUNS = 3
_CONVERSIONS = 4
"""What follows a training takes so many seconds, mostly for the report; as long as so many first steps, which
compile the network as a conversion does; so many runs for each representative picture, by slow kernels; and a
run of each conversion for each validation picture.

Measured on two busy cores with 240 training pictures and five networks: 9.7 to 27.0 s, of which the report
took 2.8 to 7.0 s; the estimate was 14 to 28 s.
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many seconds the parts of a training have taken, 0 for those that are still to come.

    `first_step` includes compiling; `step` and `validation` are the latest ones.
    """

    first_step: float = 0.0
    step: float = 0.0
    validation: float = 0.0


@dataclass(frozen=True, slots=True)
class Closing:
    """The work that follows a training: a conversion for each of the `exports` too, and runs on pictures.

    `representative`, `validation` and `test` count the pictures. Training has used `threads` threads, a
    conversion is run by one.
    """

    representative: int
    validation: int
    test: int
    exports: int
    threads: int

    def estimate_seconds(self, pace: Pace) -> float:
        """Return how long it will take."""
        runs = _CALIBRATION_RUNS * self.representative + _CONVERSIONS * self.validation + self.test
        run = self.threads * pace.validation / self.validation
        return _FIXED_SECONDS + _FIRST_STEPS * (1 + self.exports) * pace.first_step + runs * run


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How many seconds a training and what follows it may take together."""

    seconds: float
    estimate_closing: Callable[[Pace], float]

    def compute_share(self, seconds: float, pace: Pace) -> float:
        """Return which share of the time for steps is used up after some seconds, 0 to 1.

        From 1 on another step and the validation after it would leave too little for the rest.
        """
        available = self.seconds - pace.step - pace.validation - self.estimate_closing(pace)
        return min(1.0, seconds / available) if available > 0 else 1.0
