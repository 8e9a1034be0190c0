"""Validate a classifier: log loss, accuracy and mean recall of its predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.training.progress import ValidationMetrics
from worker.inference.decode import Pixels

Predict = Callable[[Any], Any]
"""Takes a batch of inputs and returns the EMA network's outputs, in inference mode."""

Validate = Callable[[Predict], ValidationMetrics]

_BATCH_SIZE = 256
"""Larger than in training: no gradients are kept."""


def make_validation(pixels: Pixels, labels: NDArray[np.int64]) -> Validate:
    """Return the validation on these pictures, uint8 (N, H, W, C) and int64 (N,)."""

    def validate(predict: Predict) -> ValidationMetrics:
        batches = (pixels[start : start + _BATCH_SIZE] for start in range(0, len(pixels), _BATCH_SIZE))
        logits = np.concatenate([np.asarray(predict(batch)) for batch in batches])
        return compute_validation_metrics(logits, labels)

    return validate


def compute_validation_metrics(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> ValidationMetrics:
    """Return the metrics of logits, float32 (N, classes), over the classes that the labels have."""
    is_right = logits.argmax(axis=1) == labels
    recalls = [is_right[labels == label].mean() for label in np.unique(labels)]
    # Shifted, so that no exponential overflows.
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_probabilities[np.arange(len(labels)), labels].mean()
    return ValidationMetrics(float(loss), float(is_right.mean()), float(np.mean(recalls)))
