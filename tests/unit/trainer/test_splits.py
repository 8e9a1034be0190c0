import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.splits import split_groups
from worker.errors import ConfigError

CLASSES = ("happy", "sad")


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

    with pytest.raises(ConfigError, match="class sad has 1 different pictures"):
        split_groups(labels, groups, CLASSES, 0.1, 0)
