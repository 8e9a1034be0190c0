"""How judged pictures are divided into groups, and what is measured of each."""

import math

import numpy as np
import pytest

from tests.bench.accuracy_figures import (
    FACE_BANDS,
    SIDE_BANDS,
    Band,
    banded,
    by_faces,
    by_side,
    difference,
    largest_side,
    measured_group,
    surest,
    taken,
)
from tests.unit.bench.judged import CLASSES, answers, drawn_answers, seen, verdict
from trainer.evaluation.metrics import compute_metrics


@pytest.mark.parametrize(
    ("bands", "values", "numbers"),
    [
        (FACE_BANDS, [0, 1, 2, 3, 4, 16], [0, 1, 2, 2, 3, 3]),
        (SIDE_BANDS, [2, 23.9, 24, 47.9, 48, 95.9, 96, 4000], [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
    ids=["faces", "sides"],
)
def test_a_value_is_in_the_last_band_that_begins_at_or_below_it(
    bands: tuple[Band, ...], values: list[float], numbers: list[int]
) -> None:
    assert banded(np.array(values), bands).tolist() == numbers


def test_a_photo_goes_by_its_largest_face() -> None:
    assert largest_side(verdict(30, 100, 50)) == 100
    assert math.isnan(largest_side(verdict()))


def test_every_picture_is_in_one_group_of_faces_and_those_with_faces_in_one_of_sides() -> None:
    sides = [(), (10,), (30, 20), (100, 90, 80), (50,) * 7, ()]
    judged = seen(drawn_answers(6), verdicts=[verdict(*each) for each in sides])
    assert [group.pictures for group in by_faces(judged, CLASSES)] == [2, 1, 2, 1]
    assert [group.pictures for group in by_side(judged, CLASSES)] == [1, 1, 1, 1]


def test_a_bundle_that_finds_nobody_has_empty_groups_of_sides() -> None:
    judged = seen(drawn_answers(5), verdicts=[verdict()] * 5)
    assert [group.pictures for group in by_side(judged, CLASSES)] == [0, 0, 0, 0]


def test_an_empty_group_has_no_figures() -> None:
    whole = drawn_answers(5)
    assert measured_group("nobody", taken(whole, np.zeros(5, bool)), CLASSES).metrics == {}


def test_a_group_of_one_picture_claims_next_to_nothing() -> None:
    group = measured_group("one", answers([0.9], [0], [True]), CLASSES)
    accuracy = group.metrics["accuracy", None]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low < 0.25
    assert ("recall", "sad") not in group.metrics


def test_the_figures_of_all_pictures_are_those_of_an_evaluation() -> None:
    whole = drawn_answers(80)
    found = compute_metrics(whole, CLASSES, "")
    assert measured_group("all", whole, CLASSES).metrics == {(each.name, each.label): each for each in found}


def test_the_surest_are_a_share_of_the_pictures() -> None:
    whole = drawn_answers(100)
    kept = surest(whole, 0.8)
    assert kept.sum() == 80
    assert whole.confidence()[kept].min() > whole.confidence()[~kept].max()


def test_equally_sure_pictures_are_among_the_surest_together() -> None:
    whole = answers([0.9, 0.7, 0.7, 0.7, 0.6], [0] * 5, [True] * 5)
    assert surest(whole, 0.4).tolist() == [True, True, True, True, False]


def test_a_difference_is_lost_where_the_changed_pictures_are_judged_worse() -> None:
    labels = [0, 1] * 10
    clean = answers([0.9] * 20, labels, [True] * 20)
    changed = answers([0.9] * 20, labels, [False] * 8 + [True] * 12)
    found = difference(clean, changed)
    assert found.gain == pytest.approx(-0.4)
    assert (found.only_first, found.only_second) == (8, 0)
    assert found.p_value == pytest.approx(2 / 2**8)
    assert found.low < -0.4 < found.high < 0


def test_no_difference_on_few_pictures_does_not_count_as_certain() -> None:
    clean = drawn_answers(20)
    found = difference(clean, clean)
    assert (found.gain, found.p_value) == (0, 1)
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.1
