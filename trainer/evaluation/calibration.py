"""Fit the temperature that calibrates logits, and measure how well confidences are calibrated."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from trainer.evaluation.bootstrap import MetricValues, Weights
from worker.stats import wilson_interval

_LOG_TEMPERATURE_BOUNDS = (-3.0, 3.0)
"""Natural logarithms: temperatures from 0.05 to 20."""

_PRIOR_WEIGHT = 10.0
"""Of half the squared logarithm of a temperature, beside the log loss of each picture: the prior's precision.

Alone, few pictures that happen to be classified correctly ask for logits without end. Weights of 0 to 40 were
tried by simulation, with 10 to 1000 pictures, logits with a standard deviation of 1.5 and 3, and temperatures
whose logarithm has one of 0.3 and 0.6. With 30 pictures, the log loss on new ones exceeds that of the true
temperature by 0.026 to 0.095 without a prior, by 0.006 to 0.017 with a weight of 10, and by 0.009 to 0.046
uncalibrated. At 0.3 a weight of 10 is best and at 0.6 one of 5, by 0.004; from 300 pictures on neither costs
more than 0.0003.
"""

_FOLDS = 10

MAX_BINS = 15
"""Bins of the expected calibration error (Guo et al. 2017), each with the same number of pictures.

Bins of equal width, as in that paper, leave most of a good network's pictures in one bin and a few in each
of the others, whose noise then counts as error (Nixon et al. 2019).
"""

MIN_BIN_SIZE = 10
"""Pictures: where 15 bins would have fewer than this, there are fewer bins."""

_MIN_PROBABILITY = 2.3e-16
"""Lower probabilities count as this, which is float64's epsilon, as in scikit-learn's log_loss."""


def fit_temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> float:
    """Return the temperature with the lowest log loss (Guo et al. 2017), as far as few pictures can tell it.

    `logits` is float32 (N, classes), of pictures that the network was not trained on; `labels` int64 (N,), as
    are `groups`, the numbers of the groups of near-duplicates. The fewer pictures, the nearer is the
    temperature to 1, and it is 1 where one that is fitted to the other folds does no better on held-out
    pictures.
    """
    held_out_loss = sum(
        _sum_losses(logits[fold], labels[fold], _fit_penalized(logits[rest], labels[rest]))
        for rest, fold in _draw_folds(groups)
    )
    if held_out_loss >= _sum_losses(logits, labels, temperature=1.0):
        return 1.0
    return _fit_penalized(logits, labels)


def _fit_penalized(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the most probable temperature where its logarithm has a normal prior around 0."""

    def compute_loss(log_temperature: float) -> float:
        loss = _sum_losses(logits, labels, float(np.exp(log_temperature)))
        return loss + _PRIOR_WEIGHT / 2 * log_temperature**2

    # In the logarithm, because half the temperature is as large a step as twice the temperature.
    minimum = minimize_scalar(compute_loss, bounds=_LOG_TEMPERATURE_BOUNDS, method="bounded")
    return float(np.exp(minimum.x))


def _sum_losses(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return -float(log_probabilities[np.arange(len(labels)), labels].sum())


def _draw_folds(groups: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the indices of all but a fold, and those of the fold; near-duplicates are in the same fold."""
    distinct, group = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(distinct))[group] % _FOLDS
    for number in np.unique(fold):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def compute_log_losses(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], weights: Weights
) -> MetricValues:
    """Return the mean negative logarithm of the true class's probability for each weighting: float64 (R,).

    `probabilities` is float64 (N, classes), `labels` int64 (N,), `weights` float32 (R, N).
    """
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], _MIN_PROBABILITY))
    means: MetricValues = (weights @ losses) / weights.sum(axis=1)
    return means


def compute_calibration_errors(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], weights: Weights
) -> MetricValues:
    """Return the expected calibration error for each weighting: float64 (R,), 0 to 1.

    It is the mean gap between confidence, float64 (N,), and accuracy in bins of equal mass. Pictures of
    equal confidence share a bin. `correct` is bool (N,), or (R, N) where it differs between weightings.
    """
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order]
    # Pictures of equal confidence are added up first: a run of them is never divided between two bins.
    starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
    ordered_weights = weights[:, order]
    mass = np.add.reduceat(ordered_weights, starts, axis=1, dtype=np.float64)
    gaps = np.add.reduceat(
        ordered_weights * (correct[..., order] - ordered), starts, axis=1, dtype=np.float64
    )
    total = mass.sum(axis=1, keepdims=True)
    bins = count_bins(len(confidence))
    middles = (np.cumsum(mass, axis=1) - mass / 2) / total
    bin_numbers = np.minimum((middles * bins).astype(np.int64), bins - 1)
    # Each row gets bins of its own, so that a single bincount sums up all of them.
    bin_numbers += bins * np.arange(len(weights))[:, None]
    sums = np.bincount(bin_numbers.ravel(), gaps.ravel(), minlength=bins * len(weights))
    errors: MetricValues = np.abs(sums.reshape(-1, bins)).sum(axis=1) / total[:, 0]
    return errors


def simulate_calibrated_errors(
    confidence: NDArray[np.float64], groups: NDArray[np.int64], seed: int, resamples: int
) -> MetricValues:
    """Return the errors that perfectly calibrated confidences show by chance: float64 (resamples,).

    Each picture is correct with the probability of its confidence, float64 (N,), the pictures of a group,
    int64 (N,), together (consistency resampling, Bröcker and Smith 2007). The errors are above 0, because
    noise can only enlarge an error that is never negative.
    """
    generator = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    weights = np.ones((1, len(confidence)), np.float32)
    errors = []
    for _ in range(resamples):
        correct = generator.random(int(group.max()) + 1)[group] < confidence
        errors.append(compute_calibration_errors(confidence, correct, weights))
    return np.concatenate(errors)


def count_bins(pictures: int) -> int:
    """Return how many bins a number of pictures fills."""
    return max(1, min(MAX_BINS, pictures // MIN_BIN_SIZE))


@dataclass(frozen=True, slots=True)
class Reliability:
    """The points of a reliability diagram, one for each of B bins of equal mass, each float64 (B,).

    `confidence` is the bin's mean confidence, `accuracy` the share that is correct, `low` and `high` are the
    ends of its 95 % interval (Wilson).
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def compute_reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Reliability:
    """Compare confidence, float64 (N,), with accuracy in bins of equal mass, the least sure bin first."""
    order = np.argsort(confidence, kind="stable")
    points = []
    for indices in np.array_split(order, count_bins(len(order))):
        correct_count = int(correct[indices].sum())
        low, high = wilson_interval(correct_count, len(indices))
        points.append((confidence[indices].mean(), correct_count / len(indices), low, high))
    return Reliability(*np.array(points, np.float64).T)
