import numpy as np
import pytest

from tests.drawn_predictions import draw_predictions
from trainer.evaluation.coverage import compute_coverage_curve, measure_coverage, suggest_threshold
from trainer.evaluation.metrics import LabeledPredictions


def make_predictions(confidence: list[float], correct: list[bool]) -> LabeledPredictions:
    probabilities = np.stack([np.array(confidence), 1 - np.array(confidence)], axis=1)
    labels = np.where(correct, 0, 1)
    predicted = np.zeros(len(labels), np.int64)
    return LabeledPredictions(probabilities, probabilities, predicted, labels, np.arange(len(labels)))


def test_the_curve_covers_more_and_more_pictures_of_lower_and_lower_confidence():
    predictions = draw_predictions(500, classes=3)

    curve = compute_coverage_curve(predictions)

    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.confidence) < 0).all()
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx(predictions.correct.mean())


def test_equally_sure_pictures_are_covered_together():
    curve = compute_coverage_curve(make_predictions([0.9, 0.9, 0.6, 0.6], [True, False, True, True]))

    assert list(curve.coverage) == [0.5, 1.0]
    assert list(curve.accuracy) == [0.5, 0.75]


def test_the_threshold_is_the_lowest_that_reaches_the_target():
    predictions = make_predictions(
        [0.55] * 10 + [0.7] * 10 + [0.9] * 30, [False] * 10 + [True, False] * 5 + [True] * 30
    )

    assert suggest_threshold(predictions, target=0.99) == 0.71
    assert suggest_threshold(predictions, target=0.80) == 0.56
    coverage = measure_coverage(predictions, 0.56)
    assert (coverage.covered, coverage.correct, coverage.share, coverage.accuracy) == (40, 35, 0.8, 0.875)
    assert coverage.interval[0] < 0.875 < coverage.interval[1]


def test_nothing_is_sent_to_review_where_all_pictures_reach_the_target():
    assert suggest_threshold(make_predictions([0.6] * 30, [True] * 30)) == 0.0


def test_no_threshold_is_suggested_where_none_reaches_the_target():
    assert suggest_threshold(make_predictions([0.99] * 30, [True] * 15 + [False] * 15)) is None


def test_no_threshold_is_suggested_by_a_handful_of_pictures():
    assert suggest_threshold(make_predictions([0.99] * 5 + [0.6] * 40, [True] * 5 + [False] * 40)) is None


def test_a_threshold_that_covers_nothing_has_no_wrong_prediction():
    coverage = measure_coverage(make_predictions([0.6], [False]), 0.9)

    assert (coverage.accuracy, coverage.interval) == (1.0, (0.0, 1.0))
