"""Find the temperature that turns logits into honest probabilities, and measure how honest they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from trainer.evaluation.bootstrap import MetricValues, Weights
from worker.inference.fusion import softmax
from worker.stats import wilson_interval

_BOUNDS = (-3.0, 3.0)
"""Of the natural logarithm of the temperature: 0.05 to 20."""

BINS = 15
"""Of the expected calibration error (Guo et al. 2017), each of as many pictures as the next.

Bins of equal width, as there, leave most of a good network's pictures in one bin, and a few in each of the
others, whose noise then counts as error (Nixon et al. 2019).
"""

FEWEST_IN_BIN = 10
"""Pictures: where there are too few for 15 such bins, there are fewer bins."""

_LEAST_CHANCE = 2.3e-16
"""A probability of 0 counts as this, float64's epsilon, as in scikit-learn's log_loss."""


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature of least log loss (Guo et al. 2017).

    `logits` float32 (N, classes), of pictures that the network was not trained on; `labels` int64 (N,).
    """
    everyone = np.ones((1, len(labels)), np.float32)

    def log_loss(logarithm: float) -> float:
        return float(compute_log_losses(softmax(logits / np.exp(logarithm)), labels, everyone)[0])

    found = minimize_scalar(log_loss, bounds=_BOUNDS, method="bounded")
    return float(np.exp(found.x))


def compute_log_losses(
    chances: NDArray[np.float64], labels: NDArray[np.int64], weights: Weights
) -> MetricValues:
    """Return the mean negative logarithm of the right class's probability for each weighting: float64 (R,).

    `chances` float64 (N, classes), `labels` int64 (N,), `weights` float32 (R, N).
    """
    losses = -np.log(np.maximum(chances[np.arange(len(labels)), labels], _LEAST_CHANCE))
    found: MetricValues = (weights @ losses) / weights.sum(axis=1)
    return found


def compute_calibration_errors(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], weights: Weights
) -> MetricValues:
    """Return the expected calibration error for each weighting: float64 (R,), 0 to 1.

    It is the mean gap between confidence, float64 (N,), and accuracy in bins of equal mass. Pictures of equal
    confidence share a bin. `right` is bool (N,), or (R, N) where it is another one for each weighting.
    """
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
    drawn = weights[:, order]
    mass = np.add.reduceat(drawn, starts, axis=1, dtype=np.float64)
    gaps = np.add.reduceat(drawn * (right[..., order] - ordered), starts, axis=1, dtype=np.float64)
    total = mass.sum(axis=1, keepdims=True)
    bins = count_bins(len(confidence))
    middles = (np.cumsum(mass, axis=1) - mass / 2) / total
    of = np.minimum((middles * bins).astype(np.int64), bins - 1)
    of += bins * np.arange(len(weights))[:, None]
    binned = np.bincount(of.ravel(), gaps.ravel(), minlength=bins * len(weights))
    found: MetricValues = np.abs(binned.reshape(-1, bins)).sum(axis=1) / total[:, 0]
    return found


def simulate_calibrated_errors(
    confidence: NDArray[np.float64], groups: NDArray[np.int64], seed: int, resamples: int
) -> MetricValues:
    """Return calibration errors that honest confidences would show on so many pictures: float64 (resamples,).

    Each picture is right with the probability of its confidence, float64 (N,), those of a group, int64 (N,),
    together (consistency resampling, Bröcker and Smith 2007): noise alone makes an error that is never
    negative larger than 0.
    """
    draw = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    found = []
    for _ in range(resamples):
        right = draw.random(int(group.max()) + 1)[group] < confidence
        found.append(compute_calibration_errors(confidence, right, np.ones((1, len(confidence)), np.float32)))
    return np.concatenate(found)


def count_bins(pictures: int) -> int:
    """Return how many bins so many pictures fill."""
    return max(1, min(BINS, pictures // FEWEST_IN_BIN))


@dataclass(frozen=True, slots=True)
class Reliability:
    """What bins of equal mass hold, each float64 (B,).

    `confidence` is their mean confidence, `accuracy` the share that is right, `low` and `high` the ends of
    its 95 % interval (Wilson).
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def compute_reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    """Compare confidence, float64 (N,), with accuracy in bins of as many pictures, the least sure first."""
    order = np.argsort(confidence, kind="stable")
    rows = []
    for places in np.array_split(order, count_bins(len(order))):
        hits = int(right[places].sum())
        low, high = wilson_interval(hits, len(places))
        rows.append((confidence[places].mean(), hits / len(places), low, high))
    return Reliability(*np.array(rows, np.float64).T)
