"""Compare two networks on the same pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bootstrap import MetricValues, Weights, compute_percentile_intervals
from trainer.evaluation.metrics import LabeledPredictions
from worker.stats import mcnemar_exact


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """How the second network does against the first.

    `only_first` and `only_second` count the pictures that only one of them has right, `p_value` is that of
    McNemar's exact test that neither is better. `gain` is the second's accuracy less the first's, with the
    ends of its 95 % interval.
    """

    only_first: int
    only_second: int
    p_value: float
    gain: float
    low: float
    high: float


def compare_predictions(
    first: LabeledPredictions, second: LabeledPredictions, seed: int = 0
) -> PairedComparison:
    """Compare two networks' answers to the same pictures in the same order."""
    before, after = first.right(), second.right()
    difference = after.astype(np.float32) - before.astype(np.float32)
    only_first, only_second = int((before & ~after).sum()), int((after & ~before).sum())

    def gain(weights: Weights) -> MetricValues:
        found: NDArray[np.float64] = np.asarray(weights @ difference, np.float64) / weights.sum(axis=1)
        return found[:, None]

    (low,), (high,) = compute_percentile_intervals(gain, first.groups, seed)
    p_value = mcnemar_exact(only_first, only_second)
    return PairedComparison(
        only_first, only_second, p_value, float(difference.mean()), float(low), float(high)
    )
