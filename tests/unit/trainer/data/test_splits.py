from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.class_folders import Split
from trainer.data.splits import HoldOutShares, SplitIndices, complete_splits, split_dataset, split_groups
from worker.errors import ConfigError

CLASSES = ("happy", "sad")

TRAIN, VALID, TEST = Split


@dataclass(frozen=True)
class Given:
    """Labels and parts without pictures."""

    labels: np.ndarray
    parts: tuple[Split | None, ...]
    classes: tuple[str, ...] = CLASSES


def given_parts(*counts: tuple[Split | None, int]) -> Given:
    parts = [part for part, count in counts for _ in range(count)]
    return Given(np.arange(len(parts)) % 2, tuple(parts))


def divide(data: Given, groups: np.ndarray | None = None, limit: float = 0.01, seed: int = 0) -> SplitIndices:
    return split_dataset(data, np.arange(len(data.parts)) if groups is None else groups, 0.1, seed, limit)


def parts_of(labels: np.ndarray, groups: np.ndarray, held_out: float = 0.1, seed: int = 0) -> np.ndarray:
    """Return the part of each picture: 0 training, 1 validation, 2 test."""
    splits = split_groups(labels, groups, CLASSES, held_out, seed)
    part = np.full(len(labels), -1)
    for number, positions in enumerate((splits.training, splits.validation, splits.test)):
        assert (part[positions] == -1).all()
        part[positions] = number
    return part


@given(
    owners=st.lists(st.integers(0, 30), min_size=40, max_size=200),
    held_out=st.floats(0.02, 0.3),
    seed=st.integers(0, 1000),
)
def test_no_group_crosses_splits_and_every_picture_is_in_one(owners, held_out, seed):
    _, groups = np.unique(np.array([*range(10), *owners]), return_inverse=True)
    labels = groups % 2

    part = parts_of(labels, groups, held_out, seed)

    assert (part >= 0).all()
    assert all(len(set(part[groups == group])) == 1 for group in set(groups.tolist()))


@given(seed=st.integers(0, 1000), each=st.integers(3, 40))
def test_every_class_is_in_every_split(seed, each):
    groups = np.arange(2 * each)
    labels = groups % 2

    part = parts_of(labels, groups, seed=seed)

    assert all(set(part[labels == label]) == {0, 1, 2} for label in (0, 1))


def test_each_class_gives_its_own_share():
    labels = np.repeat([0, 1], [900, 100])

    part = parts_of(labels, np.arange(1000), held_out=0.1)

    for label, size in ((0, 90), (1, 10)):
        assert np.count_nonzero(part[labels == label] == 1) == size
        assert np.count_nonzero(part[labels == label] == 2) == size


def test_the_same_seed_draws_the_same_splits_and_another_does_not():
    labels, groups = np.arange(200) % 2, np.arange(200)

    first, again, other = (parts_of(labels, groups, seed=seed) for seed in (3, 3, 4))

    assert (first == again).all()
    assert (first != other).any()


def test_a_large_group_of_copies_is_trained_on_rather_than_measured():
    groups = np.concatenate([np.zeros(60, np.int64), np.arange(1, 41)])
    labels = np.concatenate([np.zeros(60, np.int64), np.arange(40) % 2])

    assert (parts_of(labels, groups)[:60] == 0).all()


def test_a_class_of_copies_is_refused_with_its_name():
    labels = np.repeat([0, 1], [10, 10])
    groups = np.concatenate([np.arange(10), np.full(10, 10)])

    with pytest.raises(ConfigError, match="class sad has 1 different picture,"):
        split_groups(labels, groups, CLASSES, 0.1, 0)


def test_given_parts_are_used_as_given():
    splits = divide(given_parts((TRAIN, 20), (VALID, 6), (TEST, 4)))

    assert splits.training.tolist() == list(range(20))
    assert splits.validation.tolist() == list(range(20, 26))
    assert splits.test.tolist() == list(range(26, 30))


def test_without_given_parts_they_are_drawn():
    data = given_parts((None, 60))

    drawn = split_groups(data.labels, np.arange(60), CLASSES, 0.1, 5)

    assert divide(data, seed=5).test.tolist() == drawn.test.tolist()


@pytest.mark.parametrize(("given", "missing"), [((TRAIN, VALID), "test"), ((TRAIN, TEST), "validation")])
@given(owners=st.lists(st.integers(0, 19), min_size=20, max_size=60), seed=st.integers(0, 100))
def test_a_missing_part_is_drawn_from_the_training_pictures_by_groups(given, missing, owners, seed):
    _, owned = np.unique(np.array([*range(20), *owners]), return_inverse=True)
    groups = np.concatenate([owned, 20 + np.arange(10)])
    parts = (given[0],) * len(owned) + (given[1],) * 10
    data = Given(np.concatenate([owned % 2, np.arange(10) % 2]), parts)

    splits = divide(data, groups, seed=seed)

    drawn, rest = getattr(splits, missing), splits.training
    assert set(data.labels[drawn]) == {0, 1}
    assert drawn.max() < len(owned)
    assert not set(groups[drawn]) & set(groups[rest])
    assert len(drawn) + len(rest) == len(owned)


def test_where_only_training_is_given_both_others_are_drawn_from_it():
    splits = divide(given_parts((TRAIN, 40)))

    assert [len(part) for part in (splits.training, splits.validation, splits.test)] == [32, 4, 4]


def test_pictures_of_no_part_are_trained_on_beside_given_parts():
    splits = divide(given_parts((None, 10), (TRAIN, 10), (VALID, 4), (TEST, 4)))

    assert splits.training.tolist() == list(range(20))


def test_leakage_above_the_limit_is_refused_in_one_line_and_allowed_when_told_so():
    data = given_parts((TRAIN, 20), (VALID, 10), (TEST, 10))
    groups = np.arange(40)
    groups[[30, 31]] = groups[[0, 1]]

    with pytest.raises(ConfigError, match=r"2 of 10 pictures in test/ \(20\.0%\)") as refusal:
        divide(data, groups)

    assert "--allow-leakage" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(divide(data, groups, limit=1.0).test) == 10


def test_a_given_part_without_a_class_is_refused_with_both_names():
    data = Given(np.array([0, 1] * 10 + [0] * 4), (TRAIN,) * 20 + (TEST,) * 4)

    with pytest.raises(ConfigError, match="class sad has no readable picture in test/"):
        divide(data)


def part_numbers(data: Given, groups: np.ndarray, shares: HoldOutShares, seed: int = 0) -> np.ndarray:
    splits = complete_splits(data, groups, shares, seed)
    part = np.full(len(data.parts), -1)
    for number, positions in enumerate((splits.training, splits.validation, splits.test)):
        part[positions] = number
    return part


@given(
    parts=st.lists(st.sampled_from([None, TRAIN, VALID, TEST]), max_size=40),
    owners=st.lists(st.integers(0, 40), min_size=80, max_size=80),
    seed=st.integers(0, 100),
)
def test_given_parts_are_kept_and_nothing_else_crosses_them(parts, owners, seed):
    groups = np.concatenate([np.arange(100, 120), owners])[: 60 + len(parts)]
    data = Given(groups % 2, tuple([TRAIN, TRAIN, VALID, VALID, TEST, TEST] + [None] * 54 + parts))

    part = part_numbers(data, groups, HoldOutShares(0.1, 0.2), seed)

    for group in set(groups.tolist()):
        own = np.flatnonzero(groups == group)
        given = {list(Split).index(data.parts[place]) for place in own if data.parts[place]}
        drawn = {int(part[place]) for place in own if not data.parts[place]}
        assert len(drawn) <= 1
        assert not given or drawn <= {max(given)}
    for place, own_part in enumerate(data.parts):
        assert own_part is None or part[place] == list(Split).index(own_part)


def test_shares_are_drawn_each_of_its_own_size():
    part = part_numbers(given_parts((None, 200)), np.arange(200), HoldOutShares(0.05, 0.2))

    assert np.bincount(part).tolist() == [150, 10, 40]


def test_a_share_of_nothing_draws_no_such_part():
    part = part_numbers(given_parts((None, 40)), np.arange(40), HoldOutShares(0.0, 0.1))

    assert np.bincount(part).tolist() == [36, 0, 4]


def test_a_part_that_is_given_nowhere_is_drawn_from_the_training_pictures():
    part = part_numbers(given_parts((TRAIN, 40), (TEST, 10)), np.arange(50), HoldOutShares(0.1, 0.1))

    assert np.bincount(part[:40]).tolist() == [36, 4]
    assert (part[40:] == 2).all()


def test_a_few_pictures_beside_given_parts_are_trained_on():
    part = part_numbers(
        given_parts((TRAIN, 20), (VALID, 4), (TEST, 4), (None, 2)), np.arange(30), HoldOutShares(0.1, 0.1)
    )

    assert (part[28:] == 0).all()
