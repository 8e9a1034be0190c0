"""Split the pictures into training, validation and test so that no group of near-duplicates is in two."""

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
"""The share of given validation or test pictures that may have a near-duplicate among the training pictures.

Such a picture may be known by heart, so the reported accuracy is too high by this share at most: by one
point. (CIFAR-10's test has near-duplicates of 3.3 %, CIFAR-100's of 10 %: Barz & Denzler 2020, "Do we train
on test data?")
"""


@dataclass(frozen=True, slots=True)
class SplitIndices:
    """The positions of the pictures of each split, each int64 and ascending."""

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
    """How many pictures of a given split have a near-duplicate among the training pictures."""

    split: Split
    leaked: int
    pictures: int

    @property
    def share(self) -> float:
        """Of the split's pictures, 0 to 1."""
        return self.leaked / self.pictures

    def __str__(self) -> str:
        return (
            f"{self.leaked} of {self.pictures} pictures in {self.split}/ ({self.share:.1%}) "
            f"have a near-duplicate in {Split.TRAIN}/"
        )


class LabeledData(Protocol):
    """What has to be known of a dataset: its classes, and each picture's label and given split."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Positions in `classes`, (N,)."""

    @property
    def splits(self) -> tuple[Split | None, ...]:
        """What each picture is for, where a person has said so."""


def choose_splits(
    dataset: LabeledData, groups: Indices, held_out: float, seed: int, leakage_limit: float
) -> SplitIndices:
    """Split as the folders `train`, `valid` and `test` say, or at random where there are none.

    `groups` is int64 (N,), the number of each picture's group of near-duplicates. Raises ConfigError for
    classes of too few pictures, and where the given splits share more than the limit.
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
    """Keep the given splits, and draw one that is missing from the training pictures, by groups.

    Pictures of no split are trained on. Raises ConfigError where a split lacks a class, or where more than
    the limit of a given split has a near-duplicate among the training pictures.
    """
    for leakage in measure_leakage(dataset.splits, groups):
        if leakage.share > leakage_limit:
            raise ConfigError(
                f"{leakage}, more than the {leakage_limit:.1%} allowed: its metrics would flatter; "
                "`moodsort dataset check` shows them, --allow-leakage trains all the same"
            )
    numbers = np.array([_SPLIT_NUMBERS[split or Split.TRAIN] for split in dataset.splits])
    _draw_missing(numbers, dataset, groups, HoldOutShares(held_out, held_out), seed)
    _check_classes(numbers, dataset, tuple(Split))
    return _make_indices(numbers)


def complete_splits(dataset: LabeledData, groups: Indices, shares: HoldOutShares, seed: int) -> SplitIndices:
    """Keep the given splits, and split the pictures of none at random, each class, by groups.

    One that has a near-duplicate in a given split goes there: to the test rather than to validation, and
    there rather than to training. A split to which nothing has gone is drawn from the training pictures,
    unless its share is 0. Raises ConfigError where a class has too few groups, or a split lacks a class.
    """
    numbers = _assign_by_near_duplicates(dataset.splits, groups)
    unassigned = np.flatnonzero(numbers < 0)
    numbers[unassigned] = 0
    # Where no split is given, `_draw_missing` draws them all, and refuses classes of too few groups.
    if len(unassigned) < len(numbers):
        _draw(numbers, unassigned, _list_shares(shares), dataset, groups, seed)
    _draw_missing(numbers, dataset, groups, shares, seed)
    _check_classes(
        numbers, dataset, [split for split, number in _SPLIT_NUMBERS.items() if (numbers == number).any()]
    )
    return _make_indices(numbers)


def measure_leakage(splits: Sequence[Split | None], groups: Indices) -> list[Leakage]:
    """Count, for each given split but training, the pictures in a group with a training picture."""
    numbers = np.array([_SPLIT_NUMBERS[split or Split.TRAIN] for split in splits], np.int64)
    is_leaked = np.isin(groups, groups[numbers == 0])
    leakages = []
    for split in (Split.VALID, Split.TEST):
        in_split = numbers == _SPLIT_NUMBERS[split]
        if in_split.any():
            leakages.append(Leakage(split, int(is_leaked[in_split].sum()), int(in_split.sum())))
    return leakages


_SPLIT_NUMBERS = {split: number for number, split in enumerate(Split)}
"""0 is training, 1 validation and 2 test, in the arrays `numbers` below: int64 (N,), each picture's split."""


def _make_indices(numbers: Indices) -> SplitIndices:
    return SplitIndices(*(np.flatnonzero(numbers == number) for number in _SPLIT_NUMBERS.values()))


def _list_shares(shares: HoldOutShares) -> dict[int, float]:
    """Return the share of each split that is to be drawn, by its number."""
    return {number: share for number, share in ((1, shares.validation), (2, shares.test)) if share}


def _assign_by_near_duplicates(splits: Sequence[Split | None], groups: Indices) -> Indices:
    """Return each picture's split, given or by a near-duplicate's, and -1 where nothing says."""
    numbers = np.array([-1 if split is None else _SPLIT_NUMBERS[split] for split in splits], np.int64)
    _, groups = np.unique(groups, return_inverse=True)
    number_by_group = np.full(int(groups.max()) + 1, -1)
    # The largest number is the test's, which comes before validation, and that before training.
    np.maximum.at(number_by_group, groups, numbers)
    return np.where(numbers < 0, number_by_group[groups], numbers)


def _draw_missing(
    numbers: Indices, dataset: LabeledData, groups: Indices, shares: HoldOutShares, seed: int
) -> None:
    """Draw the splits to which nothing has gone from the training pictures."""
    missing = {
        number: share for number, share in _list_shares(shares).items() if not (numbers == number).any()
    }
    if missing:
        training = np.flatnonzero(numbers == 0)
        _check_groups(dataset.labels[training], groups[training], dataset.classes, fewest=len(missing) + 1)
        _draw(numbers, training, missing, dataset, groups, seed)


def _draw(
    numbers: Indices,
    indices: Indices,
    shares: dict[int, float],
    dataset: LabeledData,
    groups: Indices,
    seed: int,
) -> None:
    """Draw from the pictures at `indices` for the splits of these numbers, and write them into `numbers`."""
    if len(indices):
        labels = dataset.labels[indices]
        ranks = _draw_groups(labels, groups[indices], len(dataset.classes), tuple(shares.values()), seed)
        for rank, number in enumerate(shares, start=1):
            numbers[indices[ranks == rank]] = number


def _check_classes(numbers: Indices, dataset: LabeledData, splits: Sequence[Split]) -> None:
    for split in splits:
        counts = np.bincount(dataset.labels[numbers == _SPLIT_NUMBERS[split]], minlength=len(dataset.classes))
        for label, count in zip(dataset.classes, counts, strict=True):
            if not count:
                raise ConfigError(
                    f"class {escape_unprintable(label)} has no readable picture in {split}/; add some, or "
                    f"take {Split.VALID}/ and {Split.TEST}/ away, which are then drawn from {Split.TRAIN}/"
                )


def _draw_groups(
    labels: NDArray[np.int64], groups: Indices, classes: int, shares: tuple[float, ...], seed: int
) -> Indices:
    """Draw each of the shares from each class: the rank of each picture's share, from 1 on, 0 for the rest.

    Of a class that has too few groups nothing is drawn.
    """
    generator = np.random.default_rng(seed)
    # Numbered anew: of a selection of pictures some groups are missing, and would count as empty ones.
    _, groups = np.unique(groups, return_inverse=True)
    sizes = np.bincount(groups)
    group_labels = _find_majority(labels, groups, classes)
    rank_by_group = np.zeros(len(sizes), np.int64)
    for label in range(classes):
        queue = generator.permutation(np.flatnonzero(group_labels == label))
        if len(queue) <= len(shares):
            continue
        quotas = [max(1, round(share * int(sizes[queue].sum()))) for share in shares]
        # Groups larger than a quota come last: a large group of copies teaches, but measures little.
        queue = queue[np.argsort(sizes[queue] > min(quotas), kind="stable")]
        for rank, quota in enumerate(quotas, start=1):
            chosen_groups, queue = _fill_quota(queue, sizes, quota, leave=len(shares) + 1 - rank)
            rank_by_group[chosen_groups] = rank
    return rank_by_group[groups]


def _check_groups(labels: NDArray[np.int64], groups: Indices, classes: tuple[str, ...], fewest: int) -> None:
    _, groups = np.unique(groups, return_inverse=True)
    counts = np.bincount(_find_majority(labels, groups, len(classes)), minlength=len(classes))
    for label, count in zip(classes, counts, strict=True):
        if count < fewest:
            noun = "picture" if count == 1 else "pictures"
            raise ConfigError(
                f"class {escape_unprintable(label)} has {count} different {noun}, near-duplicates counted "
                f"once; add pictures until it has {fewest} or more"
            )


def _find_majority(labels: NDArray[np.int64], groups: Indices, classes: int) -> Indices:
    """Return the label that most pictures of each group have."""
    votes = np.zeros((int(groups.max(initial=-1)) + 1, classes), np.int64)
    np.add.at(votes, (groups, labels), 1)
    majority: Indices = votes.argmax(axis=1)
    return majority


def _fill_quota(queue: Indices, sizes: Indices, quota: int, leave: int) -> tuple[Indices, Indices]:
    """Take the groups that first fill the quota from the queue, but leave `leave` of them or more."""
    needed = int(np.searchsorted(np.cumsum(sizes[queue]), quota)) + 1
    count = max(1, min(needed, len(queue) - leave))
    return queue[:count], queue[count:]
