"""What training tells of itself while it runs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training pictures came to.

    `loss` and `training_accuracy` are of the varied pictures while they were learnt; the others are of the
    validation pictures: `validation_loss`, `accuracy`, and `recall`, the mean over the classes.
    `compute_learning_rate` is the one that the epoch ended with.
    """

    number: int
    loss: float
    training_accuracy: float
    validation_loss: float
    accuracy: float
    recall: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """Where training is: `progress` is the share of the whole that is done, 0 to 1.

    `epochs` is how many are planned; `loss` and `score` are of this epoch so far. `score_name` says what the
    score is, which is 0 to 1.
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
    """Where the steps tell how far they are: sentences, a record for each step, and one for each epoch."""

    say: Callable[[str], None]
    on_epoch: Callable[[Epoch], None]
    on_step: Callable[[Step], None] = lambda step: None
