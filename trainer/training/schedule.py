"""Say how far a training is, and how large a step is there."""

import math
from dataclasses import dataclass

from trainer.training.configuration import Hyperparameters

_START = 1 / 25
"""Of the peak rate, where the warm-up begins (Smith and Topin 2018)."""

_SHORTEST_MEMORY = 10


@dataclass(frozen=True, slots=True)
class Span:
    """How long a training may take: so many steps, and so many seconds where there is a limit."""

    steps: int
    seconds: float | None

    def progress(self, steps: int, seconds: float) -> float:
        """Return the share that is done after so many steps and seconds, 0 to 1; the nearer end counts."""
        share = steps / self.steps
        if self.seconds is not None:
            share = max(share, seconds / self.seconds)
        return min(1.0, share)


def compute_learning_rate(method: Hyperparameters, progress: float) -> float:
    """Return the rate: up to the peak in a line, then down in a cosine (Loshchilov and Hutter 2017)."""
    if progress < method.warm_up:
        return method.peak_rate * (_START + (1 - _START) * progress / method.warm_up)
    fall = (progress - method.warm_up) / (1 - method.warm_up)
    cosine = (1 + math.cos(math.pi * fall)) / 2
    return method.peak_rate * (method.final_rate + (1 - method.final_rate) * cosine)


def compute_ema_decay(method: Hyperparameters, steps: int) -> float:
    """Return how much of the average is kept after so many steps, less in the beginning."""
    return min(method.average_decay, steps / (steps + _SHORTEST_MEMORY))
