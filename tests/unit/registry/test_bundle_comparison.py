"""What makes one bundle better than another."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from worker.errors import ConfigError
from worker.registry.bundle_comparison import TestSet, compare_labels
from worker.stats import mcnemar_exact


def labelled(*labels: str) -> TestSet:
    return TestSet(Path("test"), tuple(Path(f"{number}.jpg") for number in range(len(labels))), labels)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_p_value_is_that_of_the_exact_binomial_test(first: int, second: int) -> None:
    known = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(known)


def test_the_p_value_of_thousands_of_pairs_is_a_number() -> None:
    assert 0 <= mcnemar_exact(1200, 5200) < 1e-300
    assert mcnemar_exact(5000, 5000) == 1.0


def test_each_bundle_is_counted_on_the_same_pictures() -> None:
    found = compare_labels(labelled("a", "a", "b", "b"), new=["a", "b", "b", "b"], old=["a", "a", "a", "a"])
    assert (found.new.right, found.old.right, found.new.pictures, found.old.pictures) == (3, 2, 4, 4)
    assert (found.only_new, found.only_old, found.left_out) == (2, 1, 0)
    assert not found.is_worse


def test_a_file_that_neither_can_judge_is_left_out() -> None:
    found = compare_labels(labelled("a", "b"), new=["a", None], old=["a", None])
    assert (found.new.pictures, found.left_out) == (1, 1)


def test_a_picture_that_one_alone_cannot_judge_is_wrong_for_it() -> None:
    found = compare_labels(labelled("a", "b"), new=["a", None], old=["a", "b"])
    assert (found.new.right, found.old.right, found.new.pictures) == (1, 2, 2)
    assert found.is_worse


def test_a_bundle_that_is_as_good_is_not_worse() -> None:
    assert not compare_labels(labelled("a", "b"), new=["a", "a"], old=["b", "b"]).is_worse


def test_nothing_is_said_of_bundles_without_a_picture() -> None:
    with pytest.raises(ConfigError, match="no picture that can be judged"):
        compare_labels(labelled("a"), new=[None], old=[None])


def test_a_score_is_told_with_its_interval() -> None:
    found = compare_labels(labelled("a", "b"), new=["a", "b"], old=["a", "a"])
    assert str(found.old) == "1 of 2 right (50.0%, 95 % interval 9.5% to 90.5%)"
