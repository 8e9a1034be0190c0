"""Train a network on one split and choose its best epoch by another."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.augmentation import vary
from trainer.dataset import Dataset
from trainer.network import build_network
from trainer.recipe import Recipe
from trainer.splits import Positions, Splits
from worker.errors import MoodsortError
from worker.imaging import Pixels

Logits = NDArray[np.float32]

_WARM_UP = 0.06
"""The share of all steps in which the learning rate rises."""

_AVERAGE_DECAY = 0.998
"""Of the moving average of the weights, which is what is judged and kept."""

_FEWEST_STEPS = 12
"""In an epoch: batches of few pictures are smaller, so that even a hundred pictures teach something."""

_LARGEST_GRADIENT = 5.0


class Diverged(MoodsortError):
    """The loss is no longer a number: another seed, or cleaner pictures, may help."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training pictures came to. `recall` is the mean over the classes."""

    number: int
    loss: float
    accuracy: float
    recall: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The network with the averaged weights of its best epoch."""

    network: keras.Model
    best: Epoch


def train_network(
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    say: Callable[[str], None],
    on_epoch: Callable[[Epoch], None],
) -> Trained:
    """Train for the recipe's epochs and return the one with the best mean recall on the validation pictures.

    Raises Diverged when the loss is no longer a number.
    """
    course = _Course(recipe, dataset, splits.training)
    say(f"training {course.learner.count_params():,} parameters on {len(splits.training)} pictures")
    best: Epoch | None = None
    weights: list[NDArray[np.float32]] = []
    for number in range(1, recipe.epochs + 1):
        started = time.monotonic()
        loss = course.run_epoch()
        if not np.isfinite(loss):
            raise Diverged(f"the loss of epoch {number} is {loss}; train again with another --seed")
        logits = predict_logits(course.averaged, dataset.pixels[splits.validation])
        accuracy, recall = _figures(logits, dataset.labels[splits.validation])
        epoch = Epoch(number, loss, accuracy, recall, time.monotonic() - started)
        on_epoch(epoch)
        if best is None or epoch.recall >= best.recall:
            best, weights = epoch, course.averaged.get_weights()
    assert best is not None
    course.averaged.set_weights(weights)
    return Trained(course.averaged, best)


def predict_logits(network: keras.Model, pixels: Pixels) -> Logits:
    """Run the network on uint8 (N, H, W, C): float32 (N, classes)."""
    batches = [
        np.asarray(network(pixels[start : start + 256], training=False))
        for start in range(0, len(pixels), 256)
    ]
    return np.concatenate(batches)


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Weigh each class by the inverse of its share, so that all matter alike: float32 (classes,)."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * counts)).astype(np.float32)


class _Course:
    """The state that a training run carries from step to step."""

    def __init__(self, recipe: Recipe, dataset: Dataset, training: Positions) -> None:
        classes = len(dataset.classes)
        self._recipe = recipe
        self._pixels = dataset.pixels
        self._labels = dataset.labels
        self._training = training
        self._order = np.random.default_rng(recipe.seed)
        self._batch = min(recipe.batch_size, max(2, len(training) // _FEWEST_STEPS))
        steps = recipe.epochs * (len(training) // self._batch)
        self.learner = build_network(recipe.input, classes, recipe.seed)
        self.averaged = build_network(recipe.input, classes, recipe.seed)
        self._optimizer = _optimizer(recipe, steps)
        self._optimizer.build(self.learner.trainable_variables)
        self._targets = _smoothed(classes, recipe.label_smoothing)
        self._weights = class_weights(dataset.labels[training], classes)
        self._taken = 0
        self._step = tf.function(self._learn)

    def run_epoch(self) -> float:
        """Show every training picture once, varied, and return the mean loss."""
        losses = [self._step(*batch) for batch in self._batches()]
        return float(np.mean(losses))

    def _batches(self) -> Iterator[tuple[Any, ...]]:
        order = self._order.permutation(self._training)
        # The last, shorter batch is dropped: its own shape would have the step compiled again.
        for start in range(0, len(order) - self._batch + 1, self._batch):
            chosen = order[start : start + self._batch]
            labels = self._labels[chosen]
            self._taken += 1
            decay = min(_AVERAGE_DECAY, self._taken / (self._taken + 10))
            seed = tf.constant([self._recipe.seed, self._taken], tf.int32)
            yield (
                tf.constant(self._pixels[chosen]),
                tf.constant(self._targets[labels]),
                tf.constant(self._weights[labels]),
                seed,
                tf.constant(decay, tf.float32),
            )

    def _learn(self, pixels: Any, targets: Any, weights: Any, seed: Any, decay: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = self.learner(vary(pixels, seed), training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(weights * losses)
        variables = self.learner.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        for average, newest in zip(self.averaged.weights, self.learner.weights, strict=True):
            average.assign(decay * average + (1.0 - decay) * newest)
        return loss


def _optimizer(recipe: Recipe, steps: int) -> Any:
    warm_up = max(1, round(_WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.peak_rate / 25,
        warmup_target=recipe.peak_rate,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
        alpha=0.01,
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=recipe.weight_decay, global_clipnorm=_LARGEST_GRADIENT
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def _smoothed(classes: int, smoothing: float) -> NDArray[np.float32]:
    return ((1 - smoothing) * np.eye(classes) + smoothing / classes).astype(np.float32)


def _figures(logits: Logits, labels: NDArray[np.int64]) -> tuple[float, float]:
    right = logits.argmax(axis=1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    return float(right.mean()), float(np.mean(recalls))
