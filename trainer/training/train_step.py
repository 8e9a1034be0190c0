"""Change a network's weights step by step, and keep their moving average."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.training.checkpoint import TrainingState, Weights
from trainer.training.configuration import Hyperparameters
from trainer.training.schedule import compute_ema_decay, compute_learning_rate

LossFunction = Callable[[Any, Any], tuple[Any, Any]]
"""Takes a batch of answers and what they should have been, and returns the loss and how right they were."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step came to: the mean loss, and how right the answers to the batch were before it, 0 to 1."""

    loss: float
    accuracy: float


class Learner:
    """A network that learns, its optimizer, and the moving average that is judged and kept."""

    def __init__(
        self, build: Callable[[], keras.Model], method: Hyperparameters, objective: LossFunction
    ) -> None:
        """Begin with a network; `objective` takes its answers to a batch and what they should have been."""
        self.network = build()
        self.averaged = keras.models.clone_model(self.network)
        self.averaged.set_weights(self.network.get_weights())
        self._method = method
        self._objective = objective
        self._optimizer = _make_optimizer(method)
        self._optimizer.build(self.network.trainable_variables)
        self._step = tf.function(self._learn)

    def learn(self, pixels: Any, wanted: Any, *, step: int, progress: float) -> StepResult:
        """Learn from a batch, uint8 (B, H, W, C) and what the objective takes; `step` counts from 0."""
        rate = tf.constant(compute_learning_rate(self._method, progress), tf.float32)
        decay = tf.constant(compute_ema_decay(self._method, step + 1), tf.float32)
        loss, accuracy = self._step(pixels, wanted, rate, decay)
        return StepResult(float(loss), float(accuracy))

    def variables(self) -> tuple[Weights, Weights, Weights]:
        """Return the values of network, average and optimizer, random generators among them."""
        return tuple(  # type: ignore[return-value]
            [np.asarray(variable) for variable in owner.variables]
            for owner in (self.network, self.averaged, self._optimizer)
        )

    def restore(self, state: TrainingState) -> None:
        """Go back to what a checkpoint kept."""
        owners = (self.network, self.averaged, self._optimizer)
        for owner, values in zip(owners, (state.learner, state.averaged, state.optimizer), strict=True):
            for variable, value in zip(owner.variables, values, strict=True):
                variable.assign(value)

    def _learn(self, pixels: Any, wanted: Any, rate: Any, decay: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, accuracy = self._objective(self.network(pixels, training=True), wanted)
        variables = self.network.trainable_variables
        self._optimizer.learning_rate.assign(rate)
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        for average, newest in zip(self.averaged.weights, self.network.weights, strict=True):
            average.assign(decay * average + (1.0 - decay) * newest)
        return loss, accuracy


def make_classification_loss(class_weights: NDArray[np.float32], smoothing: float) -> LossFunction:
    """Return weighted cross-entropy against labels, int64 (B,), and the share of them that is right.

    `compute_class_weights` float32 (classes,). Smoothing: Szegedy et al. 2016. The label after the last class is that
    of a picture of nothing: all classes should be equally likely there, and none is right or wrong.
    """
    classes = len(class_weights)
    targets = tf.constant(
        np.concatenate([_smooth(classes, smoothing), np.full((1, classes), 1 / classes, np.float32)])
    )
    weights = tf.constant(np.append(class_weights, np.float32(1)))

    def objective(logits: Any, labels: Any) -> tuple[Any, Any]:
        losses = tf.nn.softmax_cross_entropy_with_logits(tf.gather(targets, labels), logits)
        loss = tf.reduce_mean(tf.gather(weights, labels) * losses)
        right = tf.equal(tf.argmax(logits, axis=1), labels)
        shown = tf.reduce_sum(tf.cast(labels < classes, tf.float32))
        return loss, tf.reduce_sum(tf.cast(right, tf.float32)) / shown

    return objective


def compute_class_weights(labels: NDArray[np.int64], classes: int, balance: float) -> NDArray[np.float32]:
    """Weigh each class by the inverse of its share to the power of `balance`: float32 (classes,).

    The mean over the pictures is 1. A class that has no pictures weighs nothing.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts, (len(labels) / (classes * np.maximum(counts, 1))) ** balance, 0)
    scaled: NDArray[np.float32] = (weights / weights[labels].mean()).astype(np.float32)
    return scaled


def _make_optimizer(method: Hyperparameters) -> Any:
    if not method.weight_decay:
        return keras.optimizers.Adam(method.peak_rate, global_clipnorm=method.largest_gradient)
    optimizer = keras.optimizers.AdamW(
        method.peak_rate, weight_decay=method.weight_decay, global_clipnorm=method.largest_gradient
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def _smooth(classes: int, smoothing: float) -> NDArray[np.float32]:
    return ((1 - smoothing) * np.eye(classes) + smoothing / classes).astype(np.float32)
