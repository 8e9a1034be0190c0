"""Count how often predictions are right, with the interval that so many pictures allow."""

import math

import numpy as np
from numpy.typing import NDArray

from worker.bundle import Metric

_Z = 1.959964
"""The 97.5 % quantile of the normal distribution: 95 % lie within."""


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); 0 to 1 where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    scale = 1 + _Z**2 / total
    middle = (share + _Z**2 / (2 * total)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def measured(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: tuple[str, ...], test_set: str
) -> tuple[Metric, ...]:
    """Return accuracy and each class's precision and recall; `predicted` and `labels` are int64 (N,)."""
    metrics = [_share("accuracy", None, predicted == labels, test_set)]
    for label, name in enumerate(classes):
        metrics.append(_share("precision", name, labels[predicted == label] == label, test_set))
        metrics.append(_share("recall", name, predicted[labels == label] == label, test_set))
    return tuple(metrics)


def _share(name: str, label: str | None, right: NDArray[np.bool_], test_set: str) -> Metric:
    count, total = int(np.count_nonzero(right)), len(right)
    low, high = wilson_interval(count, total)
    value = count / total if total else 0.0
    return Metric(name, label, value, low, high, test_set, total)
