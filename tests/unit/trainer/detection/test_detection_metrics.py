"""A finder is measured by the faces that its teacher found, on made-up finds."""

import numpy as np
import pytest

from trainer.detection.boxes import Annotations
from trainer.detection.detection_metrics import (
    DetectionCounts,
    DetectionResult,
    choose_best,
    count_at_thresholds,
)

Rows = tuple[tuple[float, float, float], ...]

LARGE, OTHER, SMALL = (100.0, 100.0, 60.0), (300.0, 100.0, 60.0), (200.0, 300.0, 20.0)


def looked(
    *finds: tuple[tuple[float, float, float], float], faces: Rows = (), doubtful: Rows = ()
) -> DetectionResult:
    """Make up what was found, squares with their scores, in a picture of which so much is known."""
    found, true, open_ = (
        np.array(rows, np.float32).reshape(-1, 3)
        for rows in ([square for square, _ in finds], faces, doubtful)
    )
    return DetectionResult(found, np.array([score for _, score in finds]), Annotations(true, open_))


def tally_at(score: float, *pictures: DetectionResult) -> DetectionCounts:
    (tally,) = (each for each in count_at_thresholds(pictures) if each.least_score == score)
    return tally


def counts(tally: DetectionCounts) -> tuple[int, ...]:
    return tally.hits, tally.faces, tally.right, tally.finds, tally.alarms, tally.empty


def test_who_finds_all_faces_and_no_others_has_an_f3_of_1():
    tally = tally_at(0.5, looked((LARGE, 0.9), (OTHER, 0.8), faces=(LARGE, OTHER)), looked())
    assert counts(tally) == (2, 2, 2, 2, 0, 1)
    assert tally.f3 == 1


def test_who_finds_nothing_has_an_f3_of_0():
    assert tally_at(0.5, looked(faces=(LARGE,))).f3 == 0
    assert tally_at(0.5, looked()).f3 == 0


def test_a_face_missed_lowers_f3_more_than_a_find_that_is_none():
    missed = tally_at(0.5, looked((LARGE, 0.9), faces=(LARGE, OTHER)))
    wrong = tally_at(0.5, looked((LARGE, 0.9), (OTHER, 0.9), faces=(LARGE,)))
    assert counts(missed) == (1, 2, 1, 1, 0, 0)
    assert counts(wrong) == (1, 1, 1, 2, 0, 0)
    assert missed.f3 == pytest.approx(10 / 19)
    assert wrong.f3 == pytest.approx(10 / 11)


def test_a_find_shares_at_least_half_of_the_square_with_its_face():
    near, far = (115.0, 100.0, 60.0), (125.0, 100.0, 60.0)
    assert tally_at(0.5, looked((near, 0.9), faces=(LARGE,))).hits == 1
    assert counts(tally_at(0.5, looked((far, 0.9), faces=(LARGE,)))) == (0, 1, 0, 1, 0, 0)


def test_small_faces_are_not_asked_for_and_small_finds_are_not_wrong():
    assert counts(tally_at(0.5, looked(faces=(SMALL,)))) == (0, 0, 0, 0, 0, 0)
    assert counts(tally_at(0.5, looked((SMALL, 0.9), faces=(LARGE,)))) == (0, 1, 0, 0, 0, 0)
    assert counts(tally_at(0.5, looked((SMALL, 0.9), faces=(SMALL,)))) == (0, 0, 1, 1, 0, 0)


def test_what_the_teacher_doubts_is_neither_right_nor_wrong():
    tally = tally_at(0.5, looked((LARGE, 0.9), doubtful=(LARGE,)))
    assert counts(tally) == (0, 0, 0, 0, 0, 0)


def test_a_false_alarm_is_a_picture_with_any_find_in_which_the_teacher_sees_nothing_at_all():
    tally = tally_at(0.5, looked((LARGE, 0.9), (OTHER, 0.9)), looked((SMALL, 0.9)), looked(), looked())
    assert (tally.alarms, tally.empty) == (2, 4)


def test_the_best_score_keeps_the_faces_and_leaves_out_what_is_none():
    pictures = [looked((LARGE, 0.62), (OTHER, 0.41), faces=(LARGE,)), looked((OTHER, 0.44))]
    counted = count_at_thresholds(pictures)
    best = choose_best(counted)
    assert 0.44 < best.least_score <= 0.62
    assert best.f3 == 1
    assert [tally.finds for tally in counted] == sorted((t.finds for t in counted), reverse=True)
    assert counts(counted[0]) == (1, 1, 1, 3, 1, 1)


def test_every_share_comes_with_an_interval_and_what_it_was_measured_on():
    pictures = [looked((LARGE, 0.9), faces=(LARGE, OTHER)), looked((LARGE, 0.9)), looked(), looked()]
    found = {metric.name: metric for metric in tally_at(0.5, *pictures).metrics("drawn pictures")}
    assert {name: (metric.value, metric.pictures) for name, metric in found.items()} == {
        "faces_found": (0.5, 2),
        "finds_confirmed": (0.5, 2),
        "false_alarms": (pytest.approx(1 / 3), 3),
    }
    for metric in found.values():
        assert 0 <= metric.low < metric.value < metric.high <= 1
        assert metric.test_set == "drawn pictures"


def test_a_share_of_nothing_is_no_metric():
    assert tally_at(0.5, looked(faces=(LARGE,))).metrics("drawn")[0].name == "faces_found"
    assert len(tally_at(0.5, looked(faces=(LARGE,))).metrics("drawn")) == 1
