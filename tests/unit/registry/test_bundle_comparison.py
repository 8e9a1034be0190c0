"""What makes one bundle better than another."""

from pathlib import Path

import pytest

from worker.errors import ConfigError
from worker.registry.bundle_comparison import Accuracy, TestSet, compare_labels


def make_test_set(*labels: str) -> TestSet:
    files = tuple(Path(f"{number}.jpg") for number in range(len(labels)))
    return TestSet(Path("test"), files, labels, other_folders=())


def test_the_p_value_is_that_of_mcnemars_exact_test() -> None:
    comparison = compare_labels(make_test_set(*"aaaaa"), new=[*"aaaaa"], old=[*"bbbbb"])
    assert (comparison.only_new, comparison.only_old) == (5, 0)
    assert comparison.p_value == 2 * 0.5**5


def test_each_bundle_is_counted_on_the_same_pictures() -> None:
    comparison = compare_labels(
        make_test_set("a", "a", "b", "b"), new=["a", "b", "b", "b"], old=["a", "a", "a", "a"]
    )
    assert (comparison.new, comparison.old) == (Accuracy(3, 4), Accuracy(2, 4))
    assert (comparison.only_new, comparison.only_old, comparison.left_out) == (2, 1, 0)
    assert not comparison.is_worse


def test_a_file_that_neither_can_read_is_left_out() -> None:
    comparison = compare_labels(make_test_set("a", "b"), new=["a", None], old=["a", None])
    assert (comparison.new.pictures, comparison.left_out) == (1, 1)


def test_a_picture_that_one_alone_cannot_read_is_wrong_for_it() -> None:
    comparison = compare_labels(make_test_set("a", "b"), new=["a", None], old=["a", "b"])
    assert (comparison.new.right, comparison.old.right, comparison.new.pictures) == (1, 2, 2)
    assert comparison.is_worse


def test_a_bundle_that_is_as_good_is_not_worse() -> None:
    assert not compare_labels(make_test_set("a", "b"), new=["a", "a"], old=["b", "b"]).is_worse


def test_bundles_are_not_compared_without_a_picture() -> None:
    with pytest.raises(ConfigError, match="no picture that can be read"):
        compare_labels(make_test_set("a"), new=[None], old=[None])


def test_an_accuracy_is_shown_with_its_interval() -> None:
    comparison = compare_labels(make_test_set("a", "b"), new=["a", "b"], old=["a", "a"])
    assert str(comparison.old) == "1 of 2 right (50.0%, 95 % interval 9.5% to 90.5%)"
