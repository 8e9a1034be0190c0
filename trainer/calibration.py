"""Find the temperature that turns logits into honest probabilities."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_BOUNDS = (-3.0, 3.0)
"""Of the natural logarithm of the temperature: 0.05 to 20."""

_BINS = 15
"""Of the expected calibration error (Guo et al. 2017)."""


def fitted_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature of least log loss (Guo et al. 2017).

    `logits` float32 (N, classes), of pictures that the network was not trained on; `labels` int64 (N,).
    """

    def log_loss(logarithm: float) -> float:
        return _log_loss(logits / np.exp(logarithm), labels)

    found = minimize_scalar(log_loss, bounds=_BOUNDS, method="bounded")
    return float(np.exp(found.x))


def calibration_error(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy, 0 to 1."""
    chances = np.exp(log_softmax(logits.astype(np.float64) / temperature, axis=1))
    confidence = chances.max(axis=1)
    right = chances.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, right - confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _log_loss(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    chances = log_softmax(logits.astype(np.float64), axis=1)
    return float(-chances[np.arange(len(labels)), labels].mean())
