"""Divide the pictures into training, validation and test so that no group of near-duplicates is in two."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import Split
from worker.errors import ConfigError
from worker.paths import escape_unprintable

Indices = NDArray[np.int64]

LEAKAGE_LIMIT = 0.01
"""The share of given validation or test pictures that may have a near-twin among the training pictures.

A twin is one picture that may be known by heart, so the reported accuracy is too high by this share at the
most: by one point. (CIFAR-10's test has twins of 3.3 %, CIFAR-100's of 10 %: Barz & Denzler 2020, "Do we
train on test data?")
"""


@dataclass(frozen=True, slots=True)
class SplitIndices:
    """The positions of the pictures of each part, each int64 and ascending."""

    training: Indices
    validation: Indices
    test: Indices


@dataclass(frozen=True, slots=True)
class HoldOutShares:
    """What of each class is drawn for validation and for the test, each 0 to 1; 0 draws none."""

    validation: float
    test: float


@dataclass(frozen=True, slots=True)
class Leakage:
    """How many pictures of a given part have a near-twin among the training pictures."""

    split: Split
    leaked: int
    pictures: int

    @property
    def share(self) -> float:
        """Of the part's pictures, 0 to 1."""
        return self.leaked / self.pictures

    def __str__(self) -> str:
        return (
            f"{self.leaked} of {self.pictures} pictures in {self.split}/ ({self.share:.1%}) "
            f"have a near-twin in {Split.TRAIN}/"
        )


class LabeledData(Protocol):
    """What is asked of a dataset: its classes, and each picture's label and given part."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Positions in `classes`, (N,)."""

    @property
    def splits(self) -> tuple[Split | None, ...]:
        """What each picture is for, where a person has said so."""


def split_dataset(
    dataset: LabeledData, groups: Indices, held_out: float, seed: int, leakage_limit: float
) -> SplitIndices:
    """Divide as the folders `train`, `valid` and `test` say, or by lot where there are none.

    `groups` is int64 (N,), the number of each picture's group of near-duplicates. Raises ConfigError for
    classes of too few pictures, and where the given parts share more than the limit.
    """
    if any(dataset.splits):
        return use_given_splits(dataset, groups, held_out, seed, leakage_limit)
    return split_groups(dataset.labels, groups, dataset.classes, held_out, seed)


def split_groups(
    labels: NDArray[np.int64], groups: Indices, classes: tuple[str, ...], held_out: float, seed: int
) -> SplitIndices:
    """Draw the share `held_out` of each class for validation, as much for the test, the rest for training.

    A group that has pictures of several classes counts for the one that it has most of. Raises ConfigError
    where a class has fewer than three groups.
    """
    shares = (held_out, held_out)
    _check_groups(labels, groups, classes, fewest=len(shares) + 1)
    return _make_indices(_draw_groups(labels, groups, len(classes), shares, seed))


def use_given_splits(
    dataset: LabeledData, groups: Indices, held_out: float, seed: int, leakage_limit: float
) -> SplitIndices:
    """Take the parts as they are given, and draw one that is missing from the training pictures, by groups.

    Pictures of no part are trained on. Raises ConfigError where a part lacks a class, or where more than the
    limit of a given part has a near-twin among the training pictures.
    """
    for leak in measure_leakage(dataset.splits, groups):
        if leak.share > leakage_limit:
            raise ConfigError(
                f"{leak}, more than the {leakage_limit:.1%} allowed: its figures would flatter; "
                "`moodsort dataset check` shows them, --allow-leakage trains all the same"
            )
    part = np.array([_SPLIT_NUMBERS[given or Split.TRAIN] for given in dataset.splits])
    _draw_missing(part, dataset, groups, HoldOutShares(held_out, held_out), seed)
    _check_classes(part, dataset, tuple(Split))
    return _make_indices(part)


def complete_splits(dataset: LabeledData, groups: Indices, shares: HoldOutShares, seed: int) -> SplitIndices:
    """Keep the parts that are given, and divide the pictures of no part by lot, each class, by groups.

    One that has a near-duplicate in a given part goes there: to the test rather than to validation, and
    there rather than to training. A part to which nothing has gone is drawn from the training pictures,
    unless its share is 0. Raises ConfigError where a class has too few groups, or a part lacks a class.
    """
    part = _assign_by_near_duplicates(dataset.splits, groups)
    rest = np.flatnonzero(part < 0)
    part[rest] = 0
    if len(rest) < len(part):
        _draw(part, rest, _list_shares(shares), dataset, groups, seed)
    _draw_missing(part, dataset, groups, shares, seed)
    _check_classes(part, dataset, [name for name, number in _SPLIT_NUMBERS.items() if (part == number).any()])
    return _make_indices(part)


def measure_leakage(parts: Sequence[Split | None], groups: Indices) -> list[Leakage]:
    """Count, for each part that is given beside training, the pictures in a group with a training picture."""
    part = np.array([_SPLIT_NUMBERS[given or Split.TRAIN] for given in parts], np.int64)
    known = np.isin(groups, groups[part == 0])
    found = []
    for name in (Split.VALID, Split.TEST):
        own = part == _SPLIT_NUMBERS[name]
        if own.any():
            found.append(Leakage(name, int(known[own].sum()), int(own.sum())))
    return found


_SPLIT_NUMBERS = {part: number for number, part in enumerate(Split)}


def _make_indices(part: Indices) -> SplitIndices:
    return SplitIndices(*(np.flatnonzero(part == number) for number in range(3)))


def _list_shares(shares: HoldOutShares) -> dict[int, float]:
    return {number: share for number, share in ((1, shares.validation), (2, shares.test)) if share}


def _assign_by_near_duplicates(parts: Sequence[Split | None], groups: Indices) -> Indices:
    """Return each picture's part, given or by a near-duplicate's, and -1 where nothing says."""
    part = np.array([-1 if given is None else _SPLIT_NUMBERS[given] for given in parts], np.int64)
    _, groups = np.unique(groups, return_inverse=True)
    of_group = np.full(int(groups.max()) + 1, -1)
    np.maximum.at(of_group, groups, part)
    return np.where(part < 0, of_group[groups], part)


def _draw_missing(
    part: Indices, dataset: LabeledData, groups: Indices, shares: HoldOutShares, seed: int
) -> None:
    """Draw the parts to which nothing has gone from the training pictures."""
    missing = {number: share for number, share in _list_shares(shares).items() if not (part == number).any()}
    if missing:
        own = np.flatnonzero(part == 0)
        _check_groups(dataset.labels[own], groups[own], dataset.classes, fewest=len(missing) + 1)
        _draw(part, own, missing, dataset, groups, seed)


def _draw(
    part: Indices,
    own: Indices,
    shares: dict[int, float],
    dataset: LabeledData,
    groups: Indices,
    seed: int,
) -> None:
    """Draw from the pictures at the positions `own` for the parts of these numbers."""
    if len(own):
        labels = dataset.labels[own]
        drawn = _draw_groups(labels, groups[own], len(dataset.classes), tuple(shares.values()), seed)
        for place, number in enumerate(shares, start=1):
            part[own[drawn == place]] = number


def _check_classes(part: Indices, dataset: LabeledData, names: Sequence[Split]) -> None:
    for name in names:
        counts = np.bincount(dataset.labels[part == _SPLIT_NUMBERS[name]], minlength=len(dataset.classes))
        for label, count in zip(dataset.classes, counts, strict=True):
            if not count:
                raise ConfigError(
                    f"class {escape_unprintable(label)} has no readable picture in {name}/; add some, or take "
                    f"{Split.VALID}/ and {Split.TEST}/ away, which are then drawn from {Split.TRAIN}/"
                )


def _draw_groups(
    labels: NDArray[np.int64], groups: Indices, classes: int, shares: tuple[float, ...], seed: int
) -> Indices:
    """Draw a share of each class for each part: the part of each picture, from 1 on, and 0 for the rest.

    Of a class that has too few groups nothing is drawn.
    """
    draw = np.random.default_rng(seed)
    _, groups = np.unique(groups, return_inverse=True)
    sizes = np.bincount(groups)
    group_labels = _find_majority(labels, groups, classes)
    part_of_group = np.zeros(len(sizes), np.int64)
    for label in range(classes):
        own = draw.permutation(np.flatnonzero(group_labels == label))
        if len(own) <= len(shares):
            continue
        quotas = [max(1, round(share * int(sizes[own].sum()))) for share in shares]
        # The smallest groups last in line: a large group of copies teaches, but measures little.
        own = own[np.argsort(sizes[own] > min(quotas), kind="stable")]
        for place, quota in enumerate(quotas, start=1):
            taken, own = _fill_quota(own, sizes, quota, leave=len(shares) + 1 - place)
            part_of_group[taken] = place
    return part_of_group[groups]


def _check_groups(labels: NDArray[np.int64], groups: Indices, classes: tuple[str, ...], fewest: int) -> None:
    _, groups = np.unique(groups, return_inverse=True)
    counts = np.bincount(_find_majority(labels, groups, len(classes)), minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < fewest:
            noun = "picture" if count == 1 else "pictures"
            raise ConfigError(
                f"class {escape_unprintable(name)} has {count} different {noun}, copies and near-copies counted "
                f"once; add pictures until it has {fewest} or more"
            )


def _find_majority(labels: NDArray[np.int64], groups: Indices, classes: int) -> Indices:
    votes = np.zeros((int(groups.max(initial=-1)) + 1, classes), np.int64)
    np.add.at(votes, (groups, labels), 1)
    majority: Indices = votes.argmax(axis=1)
    return majority


def _fill_quota(own: Indices, sizes: Indices, quota: int, leave: int) -> tuple[Indices, Indices]:
    """Cut the groups that first fill the quota from the line, but leave so many groups for what follows."""
    filled = int(np.searchsorted(np.cumsum(sizes[own]), quota)) + 1
    cut = max(1, min(filled, len(own) - leave))
    return own[:cut], own[cut:]
