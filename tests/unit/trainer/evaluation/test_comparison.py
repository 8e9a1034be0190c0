import numpy as np
import pytest
from scipy.stats import binomtest

from tests.drawn_predictions import draw_predictions
from trainer.evaluation.comparison import compare_predictions
from trainer.evaluation.metrics import LabeledPredictions
from worker.stats import mcnemar_exact


@pytest.mark.parametrize(("first", "second"), [(1, 5), (12, 12), (0, 9), (40, 17)])
def test_mcnemars_test_is_the_exact_binomial_one(first, second):
    assert mcnemar_exact(first, second) == pytest.approx(binomtest(first, first + second).pvalue)


def test_models_that_never_differ_are_equally_good():
    assert mcnemar_exact(0, 0) == 1.0


def test_thousands_of_differences_neither_overflow_nor_underflow():
    assert 0 <= mcnemar_exact(3000, 2000) < 1e-40


def test_a_gain_comes_with_the_interval_of_the_difference_on_the_same_pictures():
    before = draw_predictions(300, classes=2)
    predicted = before.predicted.copy()
    (wrong,) = np.nonzero(~before.correct)
    predicted[wrong[:20]] = before.labels[wrong[:20]]
    after = LabeledPredictions(
        before.probabilities, before.uncalibrated, predicted, before.labels, before.groups
    )

    comparison = compare_predictions(before, after)

    assert (comparison.only_first, comparison.only_second) == (0, 20)
    assert comparison.gain == pytest.approx(20 / 300)
    assert 0.03 < comparison.low < comparison.gain < comparison.high < 0.11
    assert comparison.p_value < 1e-5
