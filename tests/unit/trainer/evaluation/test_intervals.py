import numpy as np
import pytest

from trainer.evaluation.intervals import auc_interval, f1_interval, mean_interval
from worker.stats import wilson_interval


def test_the_interval_of_an_auc_of_one_is_not_empty_and_that_of_one_half_is_symmetric():
    low, high = auc_interval(1.0, 20, 20)
    assert 0.8 < low < 0.95
    assert high == pytest.approx(1.0)

    low, high = auc_interval(0.5, 50, 50)
    assert 0.5 - low == pytest.approx(high - 0.5)


def test_more_pictures_narrow_the_interval_of_an_auc():
    few, many = auc_interval(0.9, 20, 20), auc_interval(0.9, 500, 500)

    assert few[0] < many[0] < 0.9 < many[1] < few[1]


def test_the_interval_of_f1_is_that_of_the_jaccard_index():
    low, high = f1_interval(9, 10)

    jaccard_low, jaccard_high = wilson_interval(9, 10)
    assert low == pytest.approx(2 * jaccard_low / (1 + jaccard_low))
    assert low < 2 * 9 / (9 + 10) < high <= 1
    assert jaccard_high <= high


def test_the_interval_of_a_mean_is_narrower_than_those_of_its_parts():
    low, high = mean_interval(np.array([[0.8, 0.7, 0.9], [0.6, 0.5, 0.7]]))

    assert (low, high) == pytest.approx((0.7 - 0.1 / 2**0.5, 0.7 + 0.1 / 2**0.5))
