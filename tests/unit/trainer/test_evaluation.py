import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation import measured, wilson_interval


def test_the_interval_is_wilsons():
    # The worked figures of R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(29, 29) == pytest.approx((0.8830, 1.0), abs=1e-4)


@given(total=st.integers(1, 10_000), data=st.data())
def test_the_interval_holds_the_share_and_stays_a_share(total, data):
    right = data.draw(st.integers(0, total))

    low, high = wilson_interval(right, total)

    assert 0 <= low <= right / total + 1e-9
    assert right / total - 1e-9 <= high <= 1


def test_precision_and_recall_are_of_each_class():
    labels = np.array([0, 0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 0, 1, 1, 0])

    metrics = {
        (each.name, each.label): each for each in measured(predicted, labels, ("happy", "sad"), "a test")
    }

    assert metrics["accuracy", None].value == pytest.approx(4 / 6)
    assert metrics["precision", "happy"].value == pytest.approx(3 / 4)
    assert metrics["recall", "happy"].value == pytest.approx(3 / 4)
    assert metrics["precision", "sad"].value == pytest.approx(1 / 2)
    assert metrics["recall", "sad"].value == pytest.approx(1 / 2)
    assert metrics["recall", "sad"].pictures == 2
    assert all(each.test_set == "a test" and each.low <= each.value <= each.high for each in metrics.values())


def test_a_class_that_was_never_predicted_has_an_interval_of_ignorance():
    metrics = measured(np.zeros(4, np.int64), np.array([0, 0, 1, 1]), ("happy", "sad"), "a test")

    (precision,) = (each for each in metrics if (each.name, each.label) == ("precision", "sad"))
    assert (precision.pictures, precision.low, precision.high) == (0, 0.0, 1.0)
