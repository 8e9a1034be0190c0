"""Closed-form 95 % intervals of metrics that are made of shares, for few pictures or few errors."""

import math

import numpy as np
from numpy.typing import NDArray

from worker.stats import Z_95, wilson_interval

Interval = tuple[float, float]

_HALVINGS = 40
"""Of a range within 0 to 1: the end is exact to 1e-12."""


def f1_interval(true_positives: int, union: int) -> Interval:
    """Return the interval of F1 from that of the Jaccard index J, a plain share: F1 = 2 J / (1 + J).

    `true_positives` counts the pictures that are both predicted as the class and of it, `union` those that
    are either or both.
    """
    low, high = wilson_interval(true_positives, union)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_interval(estimates: NDArray[np.float64]) -> Interval:
    """Return the interval of the mean of K independent metrics, float64 (K, 3): value, low and high.

    The method is the recovery of variance estimates (Zou and Donner 2008).
    """
    values, lows, highs = estimates.T
    below = math.sqrt(float(((values - lows) ** 2).sum())) / len(estimates)
    above = math.sqrt(float(((highs - values) ** 2).sum())) / len(estimates)
    return float(values.mean()) - below, float(values.mean()) + above


def auc_interval(auc: float, positives: int, negatives: int) -> Interval:
    """Return the interval of an area under the ROC curve (Newcombe 2006, method 5).

    Each end is the area from which the measured one is 1.96 of that area's own standard errors away. Unlike
    with the standard error of the measured area, the interval of an area of 1 is not empty.
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
