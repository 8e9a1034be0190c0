"""Make the batches that a classifier is trained on: shuffled and augmented pictures, and negatives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.splits import Indices
from trainer.training.augmentation import augment, draw_negatives
from worker.inference.decode import Pixels

BatchFactory = Callable[[int], Iterator[tuple[Any, Any]]]
"""Takes the number of a step, and returns the batches from that step on without end: inputs and targets."""

_PREFETCHED_BATCHES = 2


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """What a batch is made of.

    With augmentation, `negatives` and `upside_down` pictures are added to the `batch_size` of the dataset.
    `threads` 0 is one for each core.
    """

    batch_size: int
    seed: int
    augmented: bool
    negatives: int = 0
    upside_down: int = 0
    threads: int = 0


class ClassifierBatches:
    """Every training picture once an epoch, in batches of one size.

    Order and augmentation follow from the seed and the step alone, so that the batches can begin anywhere.
    The last, shorter batch of an epoch is left out: its own shape would have the step compiled again. To
    each batch of augmented pictures negatives are added, and some of its own upside down, labelled by the
    number after the last class.
    """

    def __init__(
        self, pixels: Pixels, labels: NDArray[np.int64], indices: Indices, config: BatchConfig
    ) -> None:
        """Take the pictures at `indices` of uint8 (N, H, W, C) and int64 (N,)."""
        self._pixels = pixels
        self._labels = labels
        self._indices = indices
        self._config = config
        self._order = (-1, indices)
        self.steps_per_epoch = len(indices) // config.batch_size

    def iterate(self, first: int) -> Iterator[tuple[Any, Any]]:
        """Yield batches without end from step `first` on: uint8 (B, H, W, C) and int64 (B,), as tensors."""
        options = tf.data.Options()
        options.deterministic = True
        if self._config.threads:
            options.threading.private_threadpool_size = self._config.threads
        steps = tf.data.Dataset.range(first, tf.int64.max)
        batches = steps.map(self._load).map(self._augment).prefetch(_PREFETCHED_BATCHES)
        return iter(batches.with_options(options))

    def _load(self, step: Any) -> tuple[Any, Any, Any]:
        shape = (self._config.batch_size, *self._pixels.shape[1:])
        # The shapes get lost on the way through NumPy, and the augmentation needs them.
        pixels, labels = tf.numpy_function(self._select, [step], [tf.uint8, tf.int64])
        return step, tf.ensure_shape(pixels, shape), tf.ensure_shape(labels, shape[:1])

    def _augment(self, step: Any, pixels: Any, labels: Any) -> tuple[Any, Any]:
        config = self._config
        if not config.augmented:
            return pixels, labels
        seed = tf.stack([tf.constant(config.seed, tf.int32), tf.cast(step, tf.int32)])
        augmented = augment(pixels, seed)
        negatives = draw_negatives(config.negatives, self._pixels.shape[1:], seed)
        flipped = tf.reverse(augmented[config.batch_size - config.upside_down :], axis=[1])
        no_class = tf.fill(
            [config.negatives + config.upside_down], tf.constant(self._labels.max() + 1, tf.int64)
        )
        return tf.concat([augmented, negatives, flipped], axis=0), tf.concat([labels, no_class], axis=0)

    def _select(self, step: np.int64) -> tuple[Pixels, NDArray[np.int64]]:
        epoch, batch = divmod(int(step), self.steps_per_epoch)
        if self._order[0] != epoch:
            order = np.random.default_rng((self._config.seed, epoch)).permutation(self._indices)
            self._order = (epoch, order)
        size = self._config.batch_size
        selected = self._order[1][batch * size : (batch + 1) * size]
        return self._pixels[selected], self._labels[selected]
