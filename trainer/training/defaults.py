"""Choose how to train what a person leaves open: by the network, and by the number of pictures."""

from dataclasses import dataclass

import numpy as np

from trainer.training.configuration import TrainingConfig
from trainer.training.hyperparameters import (
    BACKBONE_HYPERPARAMETERS,
    FINE_TUNING_HYPERPARAMETERS,
    TUTORIAL_HYPERPARAMETERS,
    Hyperparameters,
)

_FROM_SCRATCH = {"backbone": BACKBONE_HYPERPARAMETERS, "tutorial": TUTORIAL_HYPERPARAMETERS}
_FINE_TUNING = {"backbone": BACKBONE_HYPERPARAMETERS, "tutorial": TUTORIAL_HYPERPARAMETERS}
"""By the name of the network; the others learn by `Hyperparameters()` and `FINE_TUNING_HYPERPARAMETERS`."""

_PICTURES_IN_ALL = 150_000
_EPOCHS = (24, 200)
"""Pictures shown in all epochs together, and bounds of the epochs; measured on 240, 525 and 9342 pictures."""

_MIN_STEPS = 12
"""In an epoch: batches of few pictures are smaller, so that even a hundred pictures make enough steps."""

_MAX_BATCH_SIZE = 64
_TUTORIAL_EPOCHS = 20
_TUTORIAL_BATCH_SIZE = 32
_MIN_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """How many epochs a training has, of batches of what size, and how many without progress end it early."""

    epochs: int
    batch_size: int
    patience: int


def choose_hyperparameters(network: str, *, fine_tuning: bool) -> Hyperparameters:
    """Return how to train a network, from scratch or from weights that it has learned before."""
    if fine_tuning:
        return _FINE_TUNING.get(network, FINE_TUNING_HYPERPARAMETERS)
    return _FROM_SCRATCH.get(network, Hyperparameters())


def plan_epochs(config: TrainingConfig, pictures: int) -> EpochPlan:
    """Return what the config says, and by the number of training pictures what it leaves open."""
    epochs = config.epochs or choose_epochs(config.network, pictures)
    return EpochPlan(
        epochs,
        min(pictures, config.batch_size or choose_batch_size(config.network, pictures)),
        config.patience or choose_patience(epochs),
    )


def choose_epochs(network: str, pictures: int) -> int:
    """Return how often to show each of that many training pictures: the fewer there are, the more often."""
    if network == "tutorial":
        return _TUTORIAL_EPOCHS
    return int(np.clip(round(_PICTURES_IN_ALL / pictures), *_EPOCHS))


def choose_batch_size(network: str, pictures: int) -> int:
    """Return how many of that many training pictures to show at once."""
    largest = _TUTORIAL_BATCH_SIZE if network == "tutorial" else _MAX_BATCH_SIZE
    return min(largest, max(2, pictures // _MIN_STEPS))


def choose_patience(epochs: int) -> int:
    """Return how many epochs without progress end a training of that many epochs."""
    return max(_MIN_PATIENCE, epochs // 3)
