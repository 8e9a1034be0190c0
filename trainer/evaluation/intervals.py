"""Closed 95 % intervals of figures that are made of shares, for where few pictures or none are wrong."""

import math

import numpy as np
from numpy.typing import NDArray

from worker.stats import Z_95, wilson_interval

Interval = tuple[float, float]

_HALVINGS = 40


def f1_interval(hits: int, either: int) -> Interval:
    """Return the interval of F1 by that of the Jaccard index, a plain share: F1 = 2 J / (1 + J).

    `hits` counts the pictures both predicted as and of the class, `either` those that are one or both.
    """
    low, high = wilson_interval(hits, either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_interval(parts: NDArray[np.float64]) -> Interval:
    """Return the interval of the mean of independent figures, float64 (K, 3): value, low and high.

    The method of variance estimates recovery (Zou and Donner 2008).
    """
    value, low, high = parts.T
    below = math.sqrt(float(((value - low) ** 2).sum())) / len(parts)
    above = math.sqrt(float(((high - value) ** 2).sum())) / len(parts)
    return float(value.mean()) - below, float(value.mean()) + above


def auc_interval(auc: float, positives: int, negatives: int) -> Interval:
    """Return the interval of an area under the ROC curve (Newcombe 2006, method 5).

    The ends are the areas from which the one found is 1.96 of their own standard errors away, so that an
    area of 1 is not taken for certain.
    """
    return _find_auc_end(auc, 0.0, positives, negatives), _find_auc_end(auc, 1.0, positives, negatives)


def _find_auc_end(auc: float, outer: float, positives: int, negatives: int) -> float:
    inner = auc
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        if abs(auc - middle) <= Z_95 * _compute_auc_error(middle, positives, negatives):
            inner = middle
        else:
            outer = middle
    return inner


def _compute_auc_error(auc: float, positives: int, negatives: int) -> float:
    half = (positives + negatives) / 2 - 1
    spread = 1 + half * ((1 - auc) / (2 - auc) + auc / (1 + auc))
    return math.sqrt(auc * (1 - auc) * spread / (positives * negatives))
