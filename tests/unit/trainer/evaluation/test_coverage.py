import numpy as np
import pytest

from tests.drawn_predictions import draw_predictions
from trainer.evaluation.coverage import compute_coverage_curve, measure_coverage, suggest_threshold
from trainer.evaluation.metrics import LabeledPredictions


def answers_so_sure(confidence: list[float], right: list[bool]) -> LabeledPredictions:
    sure = np.array(confidence)
    chances = np.stack([sure, 1 - sure], axis=1)
    labels = np.where(right, 0, 1)
    predicted = np.zeros(len(labels), np.int64)
    return LabeledPredictions(chances, chances, predicted, labels, np.arange(len(labels)))


def test_the_curve_keeps_more_and_more_of_less_and_less_sure_pictures():
    answers = draw_predictions(500, classes=3)

    curve = compute_coverage_curve(answers)

    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.confidence) < 0).all()
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx(answers.right().mean())


def test_equally_sure_pictures_are_kept_together():
    curve = compute_coverage_curve(answers_so_sure([0.9, 0.9, 0.6, 0.6], [True, False, True, True]))

    assert list(curve.coverage) == [0.5, 1.0]
    assert list(curve.accuracy) == [0.5, 0.75]


def test_the_threshold_is_the_least_that_reaches_the_target():
    answers = answers_so_sure(
        [0.55] * 10 + [0.7] * 10 + [0.9] * 30, [False] * 10 + [True, False] * 5 + [True] * 30
    )

    assert suggest_threshold(answers, target=0.99) == 0.71
    assert suggest_threshold(answers, target=0.80) == 0.56
    kept = measure_coverage(answers, 0.56)
    assert (kept.kept, kept.right, kept.coverage, kept.accuracy) == (40, 35, 0.8, 0.875)
    assert kept.interval[0] < 0.875 < kept.interval[1]


def test_nothing_is_sent_to_review_where_all_are_good_enough():
    assert suggest_threshold(answers_so_sure([0.6] * 30, [True] * 30)) == 0.0


def test_no_threshold_is_suggested_where_none_reaches_the_target():
    assert suggest_threshold(answers_so_sure([0.99] * 30, [True] * 15 + [False] * 15)) is None


def test_no_threshold_is_suggested_by_a_handful_of_pictures():
    assert suggest_threshold(answers_so_sure([0.99] * 5 + [0.6] * 40, [True] * 5 + [False] * 40)) is None


def test_nothing_kept_is_nothing_wrong():
    kept = measure_coverage(answers_so_sure([0.6], [False]), 0.9)

    assert (kept.accuracy, kept.interval) == (1.0, (0.0, 1.0))
