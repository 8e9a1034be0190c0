"""What a training reports of itself while it runs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValidationMetrics:
    """How well the EMA network predicts the validation pictures: log loss, and shares of 0 to 1."""

    loss: float
    accuracy: float
    mean_recall: float
    """Over the classes."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The result of one pass over the training pictures.

    `loss` and `score`, 0 to 1, are means over its steps, of augmented pictures while they are learned;
    `score_name` says what the score is. `learning_rate` is the one with which the epoch ended.
    """

    number: int
    loss: float
    score: float
    learning_rate: float
    seconds: float
    validation: ValidationMetrics | None = None
    score_name: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Step:
    """How far a training is: `progress` is the share of the whole that is done, 0 to 1.

    `epochs` is how many are planned; `loss` and `score` are means over this epoch so far.
    """

    epoch: int
    epochs: int
    loss: float
    score: float
    progress: float
    seconds_left: float | None
    score_name: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a pipeline reports to: sentences, a record for each epoch, and one for each step."""

    say: Callable[[str], None]
    on_epoch: Callable[[Epoch], None]
    on_step: Callable[[Step], None] = lambda step: None
