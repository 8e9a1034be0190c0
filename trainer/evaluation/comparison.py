"""Compare two models on the same pictures."""

from dataclasses import dataclass

import numpy as np

from trainer.evaluation.bootstrap import MetricValues, Weights, compute_percentile_intervals
from trainer.evaluation.metrics import LabeledPredictions
from worker.stats import mcnemar_exact


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """How the second model does against the first.

    `only_first` and `only_second` count the pictures that only one of them predicts correctly. `p_value` is
    that of McNemar's exact test of the hypothesis that neither is better. `gain` is the second's accuracy
    minus the first's, `low` and `high` are the ends of its 95 % interval.
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
    """Compare two models' predictions for the same pictures in the same order."""
    difference = second.correct.astype(np.float32) - first.correct.astype(np.float32)
    only_first = int((first.correct & ~second.correct).sum())
    only_second = int((second.correct & ~first.correct).sum())

    def compute_gain(weights: Weights) -> MetricValues:
        gain: MetricValues = np.asarray(weights @ difference, np.float64) / weights.sum(axis=1)
        return gain[:, None]

    (low,), (high,) = compute_percentile_intervals(compute_gain, first.groups, seed)
    p_value = mcnemar_exact(only_first, only_second)
    return PairedComparison(
        only_first, only_second, p_value, float(difference.mean()), float(low), float(high)
    )
