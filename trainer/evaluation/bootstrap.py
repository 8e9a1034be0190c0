"""Say how far off a figure may be, by measuring it again on pictures drawn anew from the same ones."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
MetricValues = NDArray[np.float64]

RESAMPLES = 1000

_PERCENTILES = (2.5, 97.5)

_CHUNK = 2_000_000
"""Weights in memory at once: 8 MB, and as much again for each figure that sorts them."""


def compute_percentile_intervals(
    figures: Callable[[Weights], MetricValues],
    groups: NDArray[np.int64],
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[MetricValues, MetricValues]:
    """Return the ends of the 95 % percentile intervals (Efron 1979) of K figures, each float64 (K,).

    `figures` takes how often each of N pictures was drawn, float32 (R, N), and gives float64 (R, K), NaN
    where a figure is not defined. Whole groups, int64 (N,), are drawn (the cluster bootstrap of Davison and
    Hinkley 1997, 3.8): near-duplicates tell no more than one picture. An end that is never defined is NaN.
    """
    found = np.concatenate([figures(weights) for weights in _draw_resamples(groups, seed, resamples)])
    ends = np.full((2, found.shape[1]), np.nan)
    defined = ~np.isnan(found).all(axis=0)
    ends[:, defined] = np.nanpercentile(found[:, defined], _PERCENTILES, axis=0)
    return ends[0], ends[1]


def _draw_resamples(groups: NDArray[np.int64], seed: int, resamples: int) -> Iterator[Weights]:
    draw = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    step = max(1, _CHUNK // len(group))
    for start, end in pairwise([*range(0, resamples, step), resamples]):
        rows = end - start
        drawn = draw.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield times.astype(np.float32)[:, group]
