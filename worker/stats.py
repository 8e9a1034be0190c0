"""How much of a count may be chance: the interval of a share, and the test of an uneven division."""

import math

Z_95 = 1.959964
"""The 97.5 % quantile of the normal distribution: 95 % lie within."""


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); 0 to 1 where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    scale = 1 + Z_95**2 / total
    middle = (share + Z_95**2 / (2 * total)) / scale
    half = Z_95 / scale * math.sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided probability of so uneven a division, were both equally good (McNemar 1947).

    Each picture that only one has right is then a fair coin's throw.
    """
    throws = only_first + only_second
    ways = tail = 1
    for count in range(min(only_first, only_second)):
        ways = ways * (throws - count) // (count + 1)  # math.comb(throws, count + 1), but at once
        tail += ways
    return min(1.0, 2 * tail / (1 << throws))
