"""Say how far a training is, and how learning rate and EMA decay change meanwhile."""

import math
from dataclasses import dataclass

from trainer.training.hyperparameters import Hyperparameters
from trainer.training.time_limit import Pace, TimeLimit

_START_SHARE = 1 / 25
"""Of the peak learning rate, where the warm-up begins (Smith and Topin 2018)."""

_EMA_WARMUP_STEPS = 10


@dataclass(frozen=True, slots=True)
class TrainingBudget:
    """How long a training may take: a number of steps, and a time where there is a limit."""

    steps: int
    time_limit: TimeLimit | None

    def compute_progress(self, steps: int, seconds: float, pace: Pace) -> float:
        """Return the share that is used up, 0 to 1: of steps or of the time for them, whichever is more."""
        share = min(1.0, steps / self.steps)
        if self.time_limit is None:
            return share
        return max(share, self.time_limit.compute_share(seconds, pace))


def compute_learning_rate(hyperparameters: Hyperparameters, progress: float) -> float:
    """Return the learning rate: a linear warm-up, then a cosine (Loshchilov and Hutter 2017).

    `progress` is the share of the training that is done, 0 to 1, so that a time budget shortens the schedule
    too.
    """
    peak, warmup, final = (
        hyperparameters.peak_learning_rate,
        hyperparameters.warmup_share,
        hyperparameters.final_share,
    )
    if progress < warmup:
        return peak * (_START_SHARE + (1 - _START_SHARE) * progress / warmup)
    cosine = (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
    return peak * (final + (1 - final) * cosine)


def compute_ema_decay(hyperparameters: Hyperparameters, steps: int) -> float:
    """Return the decay of the EMA after that many steps; smaller at first, to forget the initial weights."""
    return min(hyperparameters.ema_decay, steps / (steps + _EMA_WARMUP_STEPS))
