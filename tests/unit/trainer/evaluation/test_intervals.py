import numpy as np
import pytest

from trainer.evaluation.intervals import auc_interval, f1_interval, mean_interval
from worker.stats import wilson_interval


def test_an_area_of_one_is_not_certain_and_one_of_half_is_even():
    low, high = auc_interval(1.0, 20, 20)
    assert 0.8 < low < 0.95
    assert high == pytest.approx(1.0)

    low, high = auc_interval(0.5, 50, 50)
    assert 0.5 - low == pytest.approx(high - 0.5)


def test_more_pictures_narrow_an_areas_interval():
    few, many = auc_interval(0.9, 20, 20), auc_interval(0.9, 500, 500)

    assert few[0] < many[0] < 0.9 < many[1] < few[1]


def test_f1_is_between_what_the_jaccard_index_allows():
    low, high = f1_interval(9, 10)

    jaccard_low, jaccard_high = wilson_interval(9, 10)
    assert low == pytest.approx(2 * jaccard_low / (1 + jaccard_low))
    assert low < 2 * 9 / (9 + 10) < high <= 1
    assert jaccard_high <= high


def test_a_mean_of_two_is_surer_than_either():
    low, high = mean_interval(np.array([[0.8, 0.7, 0.9], [0.6, 0.5, 0.7]]))

    assert (low, high) == pytest.approx((0.7 - 0.1 / 2**0.5, 0.7 + 0.1 / 2**0.5))
