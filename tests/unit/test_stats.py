"""The interval of a share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from worker.stats import wilson_interval


@given(total=st.integers(1, 2000), data=st.data())
def test_the_interval_is_that_of_wilson(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, total))
    reference = binomtest(right, total).proportion_ci(method="wilson")
    assert wilson_interval(right, total) == pytest.approx((reference.low, reference.high), abs=1e-6)


def test_without_counts_the_interval_covers_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
