"""Divide the pictures into training, validation and test so that no group of near-duplicates is in two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.errors import ConfigError

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Splits:
    """The positions of the pictures of each part, each int64 and ascending."""

    training: Positions
    validation: Positions
    test: Positions


def split_groups(
    labels: NDArray[np.int64], groups: NDArray[np.int64], classes: tuple[str, ...], held_out: float, seed: int
) -> Splits:
    """Draw the share `held_out` of each class for validation, as much for the test, the rest for training.

    A group that has pictures of several classes counts for the one that it has most of. Raises ConfigError
    where a class has fewer than three groups.
    """
    draw = np.random.default_rng(seed)
    sizes = np.bincount(groups)
    group_labels = _majority(labels, groups, len(classes))
    part_of_group = np.zeros(len(sizes), np.int64)
    for label, name in enumerate(classes):
        own = draw.permutation(np.flatnonzero(group_labels == label))
        if len(own) < 3:
            raise ConfigError(
                f"class {name} has {len(own)} different pictures, copies and near-copies counted once; "
                "add pictures until it has 3 or more"
            )
        quota = max(1, round(held_out * int(sizes[own].sum())))
        # The smallest groups last in line: a large group of copies teaches, but measures little.
        own = own[np.argsort(sizes[own] > quota, kind="stable")]
        validation, rest = _taken(own, sizes, quota, leave=2)
        test, _ = _taken(rest, sizes, quota, leave=1)
        part_of_group[validation] = 1
        part_of_group[test] = 2
    part = part_of_group[groups]
    return Splits(*(np.flatnonzero(part == number) for number in range(3)))


def _majority(labels: NDArray[np.int64], groups: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    votes = np.zeros((int(groups.max()) + 1, classes), np.int64)
    np.add.at(votes, (groups, labels), 1)
    majority: NDArray[np.int64] = votes.argmax(axis=1)
    return majority


def _taken(own: Positions, sizes: NDArray[np.int64], quota: int, leave: int) -> tuple[Positions, Positions]:
    """Cut the groups that first fill the quota from the line, but leave so many groups for what follows."""
    filled = int(np.searchsorted(np.cumsum(sizes[own]), quota)) + 1
    cut = max(1, min(filled, len(own) - leave))
    return own[:cut], own[cut:]
