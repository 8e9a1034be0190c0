"""Resample the test pictures to see how far off a metric may be."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
MetricValues = NDArray[np.float64]

RESAMPLES = 1000

_PERCENTILES = (2.5, 97.5)

_MAX_WEIGHTS = 2_000_000
"""Weights in memory at once: 8 MB, and as much again for each metric that sorts them."""


def compute_percentile_intervals(
    measure: Callable[[Weights], MetricValues],
    groups: NDArray[np.int64],
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[MetricValues, MetricValues]:
    """Return the lower and upper ends of the 95 % percentile intervals of K metrics, each float64 (K,).

    The percentile bootstrap is Efron's (1979). `measure` takes how often each of N pictures was drawn,
    float32 (R, N), and returns float64 (R, K), NaN where a metric is not defined. Whole groups, int64 (N,),
    are drawn (the cluster bootstrap of Davison and Hinkley 1997, 3.8), because near-duplicates say no more
    than one picture does. An end that is never defined is NaN.
    """
    values = np.concatenate([measure(weights) for weights in _draw_resamples(groups, seed, resamples)])
    ends = np.full((2, values.shape[1]), np.nan)
    is_defined = ~np.isnan(values).all(axis=0)  # nanpercentile warns of columns that are NaN throughout
    ends[:, is_defined] = np.nanpercentile(values[:, is_defined], _PERCENTILES, axis=0)
    return ends[0], ends[1]


def _draw_resamples(groups: NDArray[np.int64], seed: int, resamples: int) -> Iterator[Weights]:
    generator = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    group_count = int(group.max()) + 1
    chunk = max(1, _MAX_WEIGHTS // len(group))
    for start, end in pairwise([*range(0, resamples, chunk), resamples]):
        rows = end - start
        draws = generator.integers(group_count, size=(rows, group_count))
        # Each row gets numbers of its own, so that a single bincount counts all of them.
        draws += group_count * np.arange(rows)[:, None]
        counts = np.bincount(draws.ravel(), minlength=rows * group_count).reshape(rows, group_count)
        yield counts.astype(np.float32)[:, group]
