from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.class_folders import Split
from trainer.data.splits import HoldOutShares, SplitIndices, choose_splits, complete_splits, split_groups
from worker.errors import ConfigError

CLASSES = ("happy", "sad")

TRAIN, VALID, TEST = Split


@dataclass(frozen=True)
class LabeledSplits:
    """Labels and splits without pictures."""

    labels: np.ndarray
    splits: tuple[Split | None, ...]
    classes: tuple[str, ...] = CLASSES


def make_data(*counts: tuple[Split | None, int]) -> LabeledSplits:
    splits = [split for split, count in counts for _ in range(count)]
    return LabeledSplits(np.arange(len(splits)) % 2, tuple(splits))


def choose(
    data: LabeledSplits, groups: np.ndarray | None = None, limit: float = 0.01, seed: int = 0
) -> SplitIndices:
    return choose_splits(data, np.arange(len(data.splits)) if groups is None else groups, 0.1, seed, limit)


def number_pictures(indices: SplitIndices, count: int) -> np.ndarray:
    """Return the split of each picture: 0 training, 1 validation, 2 test, and -1 for none."""
    numbers = np.full(count, -1)
    for number, positions in enumerate((indices.training, indices.validation, indices.test)):
        assert (numbers[positions] == -1).all()
        numbers[positions] = number
    return numbers


def draw(labels: np.ndarray, groups: np.ndarray, held_out: float = 0.1, seed: int = 0) -> np.ndarray:
    return number_pictures(split_groups(labels, groups, CLASSES, held_out, seed), len(labels))


def complete(data: LabeledSplits, groups: np.ndarray, shares: HoldOutShares, seed: int = 0) -> np.ndarray:
    return number_pictures(complete_splits(data, groups, shares, seed), len(data.splits))


@given(
    owners=st.lists(st.integers(0, 30), min_size=40, max_size=200),
    held_out=st.floats(0.02, 0.3),
    seed=st.integers(0, 1000),
)
def test_no_group_crosses_splits_and_every_picture_is_in_one(owners, held_out, seed):
    _, groups = np.unique(np.array([*range(10), *owners]), return_inverse=True)
    labels = groups % 2

    numbers = draw(labels, groups, held_out, seed)

    assert (numbers >= 0).all()
    assert all(len(set(numbers[groups == group])) == 1 for group in set(groups.tolist()))


@given(seed=st.integers(0, 1000), class_size=st.integers(3, 40))
def test_every_class_is_in_every_split(seed, class_size):
    groups = np.arange(2 * class_size)
    labels = groups % 2

    numbers = draw(labels, groups, seed=seed)

    assert all(set(numbers[labels == label]) == {0, 1, 2} for label in (0, 1))


def test_each_class_gives_its_own_share():
    labels = np.repeat([0, 1], [900, 100])

    numbers = draw(labels, np.arange(1000), held_out=0.1)

    for label, size in ((0, 90), (1, 10)):
        assert np.count_nonzero(numbers[labels == label] == 1) == size
        assert np.count_nonzero(numbers[labels == label] == 2) == size


def test_the_same_seed_draws_the_same_splits_and_another_does_not():
    labels, groups = np.arange(200) % 2, np.arange(200)

    first, again, different = (draw(labels, groups, seed=seed) for seed in (3, 3, 4))

    assert (first == again).all()
    assert (first != different).any()


def test_a_large_group_of_copies_is_trained_on_rather_than_measured():
    groups = np.concatenate([np.zeros(60, np.int64), np.arange(1, 41)])
    labels = np.concatenate([np.zeros(60, np.int64), np.arange(40) % 2])

    assert (draw(labels, groups)[:60] == 0).all()


def test_a_class_of_copies_is_refused_with_its_name():
    labels = np.repeat([0, 1], [10, 10])
    groups = np.concatenate([np.arange(10), np.full(10, 10)])

    with pytest.raises(ConfigError, match="class sad has 1 different picture,"):
        split_groups(labels, groups, CLASSES, 0.1, 0)


def test_given_splits_are_used_as_given():
    indices = choose(make_data((TRAIN, 20), (VALID, 6), (TEST, 4)))

    assert indices.training.tolist() == list(range(20))
    assert indices.validation.tolist() == list(range(20, 26))
    assert indices.test.tolist() == list(range(26, 30))


def test_without_given_splits_they_are_drawn():
    data = make_data((None, 60))

    indices = split_groups(data.labels, np.arange(60), CLASSES, 0.1, 5)

    assert choose(data, seed=5).test.tolist() == indices.test.tolist()


@pytest.mark.parametrize(
    ("given_splits", "missing"), [((TRAIN, VALID), "test"), ((TRAIN, TEST), "validation")]
)
@given(owners=st.lists(st.integers(0, 19), min_size=20, max_size=60), seed=st.integers(0, 100))
def test_a_missing_split_is_drawn_from_the_training_pictures_by_groups(given_splits, missing, owners, seed):
    _, training_groups = np.unique(np.array([*range(20), *owners]), return_inverse=True)
    groups = np.concatenate([training_groups, 20 + np.arange(10)])
    splits = (given_splits[0],) * len(training_groups) + (given_splits[1],) * 10
    data = LabeledSplits(np.concatenate([training_groups % 2, np.arange(10) % 2]), splits)

    indices = choose(data, groups, seed=seed)

    held_out, training = getattr(indices, missing), indices.training
    assert set(data.labels[held_out]) == {0, 1}
    assert held_out.max() < len(training_groups)
    assert not set(groups[held_out]) & set(groups[training])
    assert len(held_out) + len(training) == len(training_groups)


def test_where_only_training_is_given_both_others_are_drawn_from_it():
    indices = choose(make_data((TRAIN, 40)))

    assert [len(split) for split in (indices.training, indices.validation, indices.test)] == [32, 4, 4]


def test_pictures_of_no_split_are_trained_on_beside_given_splits():
    indices = choose(make_data((None, 10), (TRAIN, 10), (VALID, 4), (TEST, 4)))

    assert indices.training.tolist() == list(range(20))


def test_leakage_above_the_limit_is_refused_in_one_line_and_allowed_on_request():
    data = make_data((TRAIN, 20), (VALID, 10), (TEST, 10))
    groups = np.arange(40)
    groups[[30, 31]] = groups[[0, 1]]

    with pytest.raises(ConfigError, match=r"2 of 10 pictures in test/ \(20\.0%\)") as refusal:
        choose(data, groups)

    assert "--allow-leakage" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(choose(data, groups, limit=1.0).test) == 10


def test_a_given_split_without_a_class_is_refused_with_both_names():
    data = LabeledSplits(np.array([0, 1] * 10 + [0] * 4), (TRAIN,) * 20 + (TEST,) * 4)

    with pytest.raises(ConfigError, match="class sad has no readable picture in test/"):
        choose(data)


@given(
    extra=st.lists(st.sampled_from([None, TRAIN, VALID, TEST]), max_size=40),
    owners=st.lists(st.integers(0, 40), min_size=80, max_size=80),
    seed=st.integers(0, 100),
)
def test_given_splits_are_kept_and_nothing_else_crosses_them(extra, owners, seed):
    groups = np.concatenate([np.arange(100, 120), owners])[: 60 + len(extra)]
    splits = (TRAIN, TRAIN, VALID, VALID, TEST, TEST, *[None] * 54, *extra)
    data = LabeledSplits(groups % 2, splits)

    numbers = complete(data, groups, HoldOutShares(0.1, 0.2), seed)

    for group in set(groups.tolist()):
        members = np.flatnonzero(groups == group)
        given_numbers = {list(Split).index(splits[index]) for index in members if splits[index]}
        drawn_numbers = {int(numbers[index]) for index in members if not splits[index]}
        assert len(drawn_numbers) <= 1
        assert not given_numbers or drawn_numbers <= {max(given_numbers)}
    for index, split in enumerate(splits):
        assert split is None or numbers[index] == list(Split).index(split)


def test_shares_are_drawn_each_of_its_own_size():
    numbers = complete(make_data((None, 200)), np.arange(200), HoldOutShares(0.05, 0.2))

    assert np.bincount(numbers).tolist() == [150, 10, 40]


def test_a_share_of_nothing_draws_no_such_split():
    numbers = complete(make_data((None, 40)), np.arange(40), HoldOutShares(0.0, 0.1))

    assert np.bincount(numbers).tolist() == [36, 0, 4]


def test_a_split_that_is_given_nowhere_is_drawn_from_the_training_pictures():
    numbers = complete(make_data((TRAIN, 40), (TEST, 10)), np.arange(50), HoldOutShares(0.1, 0.1))

    assert np.bincount(numbers[:40]).tolist() == [36, 4]
    assert (numbers[40:] == 2).all()


def test_a_few_pictures_beside_given_splits_are_trained_on():
    data = make_data((TRAIN, 20), (VALID, 4), (TEST, 4), (None, 2))

    numbers = complete(data, np.arange(30), HoldOutShares(0.1, 0.1))

    assert (numbers[28:] == 0).all()
