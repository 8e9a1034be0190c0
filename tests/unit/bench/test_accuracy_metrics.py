"""How pictures are divided into groups, and what is measured of each."""

import math

import numpy as np
import pytest

from tests.bench.accuracy_metrics import (
    FACE_BANDS,
    SIDE_BANDS,
    Band,
    compare_versions,
    find_bands,
    find_surest,
    group_by_faces,
    group_by_side,
    measure_group,
    measure_largest_face,
    select,
)
from tests.unit.bench.folder_predictions import (
    CLASSES,
    draw_calibrated,
    make_folder,
    make_prediction,
    make_predictions,
)
from trainer.evaluation.metrics import compute_metrics


@pytest.mark.parametrize(
    ("bands", "values", "indices"),
    [
        (FACE_BANDS, [0, 1, 2, 3, 4, 16], [0, 1, 2, 2, 3, 3]),
        (SIDE_BANDS, [2, 23.9, 24, 47.9, 48, 95.9, 96, 4000], [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
    ids=["faces", "sides"],
)
def test_a_value_is_in_the_last_band_that_begins_at_or_below_it(
    bands: tuple[Band, ...], values: list[float], indices: list[int]
) -> None:
    assert find_bands(np.array(values), bands).tolist() == indices


def test_a_photo_is_grouped_by_its_largest_face() -> None:
    assert measure_largest_face(make_prediction(30, 100, 50)) == 100
    assert math.isnan(measure_largest_face(make_prediction()))


def test_every_picture_is_in_one_group_of_faces_and_those_with_faces_in_one_of_sides() -> None:
    sides = [(), (10,), (30, 20), (100, 90, 80), (50,) * 7, ()]
    folder = make_folder(
        draw_calibrated(6), predictions=[make_prediction(*face_sides) for face_sides in sides]
    )
    assert [group.pictures for group in group_by_faces(folder, CLASSES)] == [2, 1, 2, 1]
    assert [group.pictures for group in group_by_side(folder, CLASSES)] == [1, 1, 1, 1]


def test_a_bundle_that_detects_no_face_has_empty_groups_of_sides() -> None:
    folder = make_folder(draw_calibrated(5), predictions=[make_prediction()] * 5)
    assert [group.pictures for group in group_by_side(folder, CLASSES)] == [0, 0, 0, 0]


def test_an_empty_group_has_no_metrics() -> None:
    nothing = select(draw_calibrated(5), np.zeros(5, bool))
    assert measure_group("empty", nothing, CLASSES).metrics == {}


def test_a_group_of_one_picture_claims_next_to_nothing() -> None:
    group = measure_group("one", make_predictions([0.9], [0], [True]), CLASSES)
    accuracy = group.metrics["accuracy", None]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low < 0.25
    assert ("recall", "sad") not in group.metrics


def test_the_metrics_of_all_pictures_are_those_of_an_evaluation() -> None:
    predictions = draw_calibrated(80)
    metrics = compute_metrics(predictions, CLASSES, "")
    assert tuple(measure_group("all", predictions, CLASSES).metrics.values()) == metrics


def test_the_surest_are_a_share_of_the_pictures() -> None:
    predictions = draw_calibrated(100)
    is_sure = find_surest(predictions, 0.8)
    assert is_sure.sum() == 80
    assert predictions.confidence[is_sure].min() > predictions.confidence[~is_sure].max()


def test_equally_sure_pictures_are_among_the_surest_together() -> None:
    predictions = make_predictions([0.9, 0.7, 0.7, 0.7, 0.6], [0] * 5, [True] * 5)
    assert find_surest(predictions, 0.4).tolist() == [True, True, True, True, False]


def test_a_difference_is_negative_where_the_changed_pictures_are_predicted_worse() -> None:
    labels = [0, 1] * 10
    original = make_predictions([0.9] * 20, labels, [True] * 20)
    changed = make_predictions([0.9] * 20, labels, [False] * 8 + [True] * 12)
    comparison = compare_versions(original, changed)
    assert comparison.gain == pytest.approx(-0.4)
    assert (comparison.only_first, comparison.only_second) == (8, 0)
    assert comparison.p_value == pytest.approx(2 / 2**8)
    assert comparison.low < -0.4 < comparison.high < 0


def test_no_difference_on_few_pictures_is_not_certain() -> None:
    original = draw_calibrated(20)
    comparison = compare_versions(original, original)
    assert (comparison.gain, comparison.p_value) == (0, 1)
    assert comparison.low == pytest.approx(-comparison.high)
    assert comparison.high > 0.1
