"""Feed training: batches of the cached pictures, in a new order each epoch, varied while it learns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.splits import Indices
from trainer.training.augmentation import augment, draw_negatives
from worker.inference.decode import Pixels

_AHEAD = 2
"""Batches that wait ready."""


class Batches:
    """Every training picture once an epoch, in batches of one size.

    Order and variation follow from the seed and the step alone, so that a feed can begin anywhere. The last,
    shorter batch of an epoch is left out: its own shape would have the step compiled again. To each batch of
    varied pictures `draw_negatives` pictures of nothing and `upside_down` of its own upside down are added,
    labelled by the number after the last class.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: NDArray[np.int64],
        positions: Indices,
        batch_size: int,
        seed: int,
        nothings: int = 0,
        upside_down: int = 0,
    ) -> None:
        self._pixels = pixels
        self._labels = labels
        self._positions = positions
        self._batch_size = batch_size
        self._seed = seed
        self._nothings = nothings
        self._upside_down = upside_down
        self._order = (-1, positions)
        self.steps_per_epoch = len(positions) // batch_size

    def batches(self, first: int, *, varied: bool, threads: int) -> Iterator[tuple[Any, Any]]:
        """Yield batches without end from step `first` on: uint8 (B, H, W, C) and int64 (B,), as tensors."""
        shape = (self._batch_size, *self._pixels.shape[1:])
        of_nothing = tf.fill(
            [self._nothings + self._upside_down], tf.constant(self._labels.max() + 1, tf.int64)
        )

        def picked(step: Any) -> tuple[Any, Any, Any]:
            pixels, labels = tf.numpy_function(self._picked, [step], [tf.uint8, tf.int64])
            return step, tf.ensure_shape(pixels, shape), tf.ensure_shape(labels, shape[:1])

        def prepared(step: Any, pixels: Any, labels: Any) -> tuple[Any, Any]:
            seed = tf.stack([tf.constant(self._seed, tf.int32), tf.cast(step, tf.int32)])
            if not varied:
                return pixels, labels
            shown = augment(pixels, seed)
            empty = draw_negatives(self._nothings, shape[1:], seed)
            turned = tf.reverse(shown[self._batch_size - self._upside_down :], axis=[1])
            return tf.concat([shown, empty, turned], axis=0), tf.concat([labels, of_nothing], axis=0)

        steps = tf.data.Dataset.range(first, tf.int64.max)
        fed = steps.map(picked).map(prepared).prefetch(_AHEAD)
        options = tf.data.Options()
        options.deterministic = True
        if threads:
            options.threading.private_threadpool_size = threads
        return iter(fed.with_options(options))

    def _picked(self, step: np.int64) -> tuple[Pixels, NDArray[np.int64]]:
        epoch, batch = divmod(int(step), self.steps_per_epoch)
        if self._order[0] != epoch:
            drawn = np.random.default_rng((self._seed, epoch)).permutation(self._positions)
            self._order = (epoch, drawn)
        chosen = self._order[1][batch * self._batch_size : (batch + 1) * self._batch_size]
        return self._pixels[chosen], self._labels[chosen]
