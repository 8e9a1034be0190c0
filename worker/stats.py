"""How much of a count may be chance: the interval of a share, and the test of two classifiers."""

import math

Z_95 = 1.959964
"""The 97.5 % quantile of the normal distribution: 95 % lie within."""


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of the share `right` / `total` (Wilson 1927); (0, 1) where `total` is 0."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    scale = 1 + Z_95**2 / total
    centre = (share + Z_95**2 / (2 * total)) / scale
    half = Z_95 / scale * math.sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (1947).

    `only_first` and `only_second` count the pictures that one classifier alone has right. If both are equally
    good, each of these is the toss of a fair coin; the p-value is the probability of a split as uneven.
    """
    tosses = only_first + only_second
    combinations = tail = 1
    for count in range(min(only_first, only_second)):
        # math.comb(tosses, count + 1), from the one before: thousands of tosses stay fast.
        combinations = combinations * (tosses - count) // (count + 1)
        tail += combinations
    return min(1.0, 2 * tail / (1 << tosses))
