"""Change a network's weights by one batch at a time, and their moving average with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.training.checkpoint import TrainingState, Weights
from trainer.training.ema import ExponentialMovingAverage
from trainer.training.hyperparameters import Hyperparameters
from trainer.training.losses import LossFunction
from trainer.training.schedule import compute_ema_decay, compute_learning_rate


@dataclass(frozen=True, slots=True)
class StepResult:
    """The mean loss of a batch, and the score of its predictions, 0 to 1, before the weights were changed."""

    loss: float
    score: float


class TrainStep:
    """A network, its optimizer and its EMA, with the step that updates all three, compiled once."""

    def __init__(
        self, build: Callable[[], keras.Model], hyperparameters: Hyperparameters, loss: LossFunction
    ) -> None:
        """Build the network and what belongs to it."""
        self.network = build()
        self.ema = ExponentialMovingAverage(self.network)
        self._hyperparameters = hyperparameters
        self._loss = loss
        self._optimizer = _make_optimizer(hyperparameters)
        # Its variables have to exist before the step is compiled, and before a checkpoint is restored.
        self._optimizer.build(self.network.trainable_variables)
        self._compiled = tf.function(self._update)

    def run(self, inputs: Any, targets: Any, *, step: int, progress: float) -> StepResult:
        """Learn from a batch, uint8 (B, H, W, C) and what the loss takes as targets.

        `step` counts from 0; `progress` is the share of the training that is done, 0 to 1.
        """
        # Tensors: for every other value of a Python number the step would be compiled again.
        rate = tf.constant(compute_learning_rate(self._hyperparameters, progress), tf.float32)
        decay = tf.constant(compute_ema_decay(self._hyperparameters, step + 1), tf.float32)
        loss, score = self._compiled(tf.convert_to_tensor(inputs), tf.convert_to_tensor(targets), rate, decay)
        return StepResult(float(loss), float(score))

    def copy_variables(self) -> tuple[Weights, Weights, Weights]:
        """Return the values of network, EMA and optimizer, random generators among them."""
        network, ema, optimizer = (
            [np.asarray(variable) for variable in owner.variables] for owner in self._list_owners()
        )
        return network, ema, optimizer

    def restore(self, state: TrainingState) -> None:
        """Take over the values that a checkpoint holds."""
        owned_values = (state.network, state.ema, state.optimizer)
        for owner, values in zip(self._list_owners(), owned_values, strict=True):
            for variable, value in zip(owner.variables, values, strict=True):
                variable.assign(value)

    def _list_owners(self) -> tuple[Any, Any, Any]:
        return self.network, self.ema.network, self._optimizer

    def _update(self, inputs: Any, targets: Any, rate: Any, decay: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, score = self._loss(self.network(inputs, training=True), targets)
        variables = self.network.trainable_variables
        self._optimizer.learning_rate.assign(rate)
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        self.ema.update(decay)
        return loss, score


def _make_optimizer(hyperparameters: Hyperparameters) -> Any:
    rate, norm = hyperparameters.peak_learning_rate, hyperparameters.max_gradient_norm
    if not hyperparameters.weight_decay:
        return keras.optimizers.Adam(rate, global_clipnorm=norm)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=hyperparameters.weight_decay, global_clipnorm=norm)
    # He et al. 2019, "Bag of tricks": only the weights of convolutions and dense layers are decayed.
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
