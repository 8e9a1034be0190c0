"""The interval of a share, and the test of two classifiers, against SciPy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from worker.stats import mcnemar_exact, wilson_interval


@given(total=st.integers(1, 2000), data=st.data())
def test_the_interval_is_wilsons(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, total))
    expected = binomtest(right, total).proportion_ci(method="wilson")
    assert wilson_interval(right, total) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_without_counts_the_interval_covers_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_p_value_is_that_of_the_exact_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(expected)


def test_the_p_value_of_thousands_of_pairs_is_a_number() -> None:
    assert 0 <= mcnemar_exact(1200, 5200) < 1e-300
    assert mcnemar_exact(5000, 5000) == 1.0
