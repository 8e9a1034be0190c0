"""The loss that classifiers minimise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

LossFunction = Callable[[Any, Any], tuple[Any, Any]]
"""Takes a batch of predictions and its targets; returns the loss and a score of 0 to 1, both scalars."""


def make_classification_loss(class_weights: NDArray[np.float32], smoothing: float) -> LossFunction:
    """Return weighted cross-entropy of logits, float32 (B, classes), and labels, int64 (B,), with accuracy.

    `class_weights` is float32 (classes,). Label smoothing: Szegedy et al. 2016. The label after the last
    class is that of negatives: all classes should be equally likely there, and none counts as right.
    """
    classes = len(class_weights)
    targets = tf.constant(
        np.concatenate([_smooth_one_hot(classes, smoothing), np.full((1, classes), 1 / classes, np.float32)])
    )
    weights = tf.constant(np.append(class_weights, np.float32(1)))

    def compute_loss(logits: Any, labels: Any) -> tuple[Any, Any]:
        losses = tf.nn.softmax_cross_entropy_with_logits(tf.gather(targets, labels), logits)
        loss = tf.reduce_mean(tf.gather(weights, labels) * losses)
        is_right = tf.equal(tf.argmax(logits, axis=1), labels)
        positives = tf.reduce_sum(tf.cast(labels < classes, tf.float32))
        return loss, tf.reduce_sum(tf.cast(is_right, tf.float32)) / positives

    return compute_loss


def compute_class_weights(labels: NDArray[np.int64], classes: int, balance: float) -> NDArray[np.float32]:
    """Return for each class the inverse of its share to the power of `balance`: float32 (classes,).

    The mean over the pictures is 1. A class without pictures has the weight 0.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts, (len(labels) / (classes * np.maximum(counts, 1))) ** balance, 0)
    scaled: NDArray[np.float32] = (weights / weights[labels].mean()).astype(np.float32)
    return scaled


def _smooth_one_hot(classes: int, smoothing: float) -> NDArray[np.float32]:
    return ((1 - smoothing) * np.eye(classes) + smoothing / classes).astype(np.float32)
