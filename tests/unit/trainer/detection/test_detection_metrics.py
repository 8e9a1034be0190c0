"""A detector is compared with its teacher, on made-up detections."""

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


def make_result(
    *detections: tuple[tuple[float, float, float], float], faces: Rows = (), ignore_regions: Rows = ()
) -> DetectionResult:
    """Make up what was detected, boxes with their scores, in a picture with these annotations."""
    boxes, true_boxes, ignored_boxes = (
        np.array(rows, np.float32).reshape(-1, 3)
        for rows in ([box for box, _ in detections], faces, ignore_regions)
    )
    scores = np.array([score for _, score in detections])
    return DetectionResult(boxes, scores, Annotations(true_boxes, ignored_boxes))


def count_at(threshold: float, *results: DetectionResult) -> DetectionCounts:
    (counts,) = (row for row in count_at_thresholds(results) if row.score_threshold == threshold)
    return counts


def list_counts(counts: DetectionCounts) -> tuple[int, ...]:
    return (
        counts.detected_faces,
        counts.faces,
        counts.confirmed_detections,
        counts.detections,
        counts.false_positive_pictures,
        counts.empty_pictures,
    )


def test_to_detect_all_faces_and_nothing_else_is_an_f3_of_1():
    result = make_result((LARGE, 0.9), (OTHER, 0.8), faces=(LARGE, OTHER))
    counts = count_at(0.5, result, make_result())
    assert list_counts(counts) == (2, 2, 2, 2, 0, 1)
    assert counts.f3 == 1


def test_to_detect_nothing_is_an_f3_of_0():
    assert count_at(0.5, make_result(faces=(LARGE,))).f3 == 0
    assert count_at(0.5, make_result()).f3 == 0


def test_a_missed_face_lowers_f3_more_than_a_false_positive():
    missed = count_at(0.5, make_result((LARGE, 0.9), faces=(LARGE, OTHER)))
    false_positive = count_at(0.5, make_result((LARGE, 0.9), (OTHER, 0.9), faces=(LARGE,)))
    assert list_counts(missed) == (1, 2, 1, 1, 0, 0)
    assert list_counts(false_positive) == (1, 1, 1, 2, 0, 0)
    assert missed.f3 == pytest.approx(10 / 19)
    assert false_positive.f3 == pytest.approx(10 / 11)


def test_a_detection_matches_a_face_from_an_iou_of_a_half_on():
    near, far = (115.0, 100.0, 60.0), (125.0, 100.0, 60.0)
    assert count_at(0.5, make_result((near, 0.9), faces=(LARGE,))).detected_faces == 1
    assert list_counts(count_at(0.5, make_result((far, 0.9), faces=(LARGE,)))) == (0, 1, 0, 1, 0, 0)


def test_small_faces_need_not_be_detected_and_small_detections_are_no_false_positives():
    assert list_counts(count_at(0.5, make_result(faces=(SMALL,)))) == (0, 0, 0, 0, 0, 0)
    assert list_counts(count_at(0.5, make_result((SMALL, 0.9), faces=(LARGE,)))) == (0, 1, 0, 0, 0, 0)
    assert list_counts(count_at(0.5, make_result((SMALL, 0.9), faces=(SMALL,)))) == (0, 0, 1, 1, 0, 0)


def test_a_detection_in_an_ignore_region_is_neither_right_nor_wrong():
    counts = count_at(0.5, make_result((LARGE, 0.9), ignore_regions=(LARGE,)))
    assert list_counts(counts) == (0, 0, 0, 0, 0, 0)


def test_a_false_positive_picture_has_a_detection_of_any_size_and_no_annotation_at_all():
    results = [
        make_result((LARGE, 0.9), (OTHER, 0.9)),
        make_result((SMALL, 0.9)),
        make_result(),
        make_result(),
        make_result(ignore_regions=(LARGE,)),
    ]
    counts = count_at(0.5, *results)
    assert (counts.false_positive_pictures, counts.empty_pictures) == (2, 4)


def test_the_best_threshold_keeps_the_faces_and_leaves_out_the_false_positives():
    results = [make_result((LARGE, 0.62), (OTHER, 0.41), faces=(LARGE,)), make_result((OTHER, 0.44))]
    rows = count_at_thresholds(results)
    best = choose_best(rows)
    assert 0.44 < best.score_threshold <= 0.62
    assert best.f3 == 1
    detections = [counts.detections for counts in rows]
    assert detections == sorted(detections, reverse=True)
    assert list_counts(rows[0]) == (1, 1, 1, 3, 1, 1)


def test_every_share_comes_with_an_interval_and_what_it_was_measured_on():
    results = [
        make_result((LARGE, 0.9), faces=(LARGE, OTHER)),
        make_result((LARGE, 0.9)),
        make_result(),
        make_result(),
    ]
    metrics = {metric.name: metric for metric in count_at(0.5, *results).compute_metrics("drawn pictures")}
    assert {name: (metric.value, metric.pictures) for name, metric in metrics.items()} == {
        "detection_recall": (0.5, 2),
        "detection_precision": (0.5, 2),
        "false_positive_pictures": (pytest.approx(1 / 3), 3),
    }
    for metric in metrics.values():
        assert 0 <= metric.low < metric.value < metric.high <= 1
        assert metric.test_set == "drawn pictures"


def test_a_share_of_nothing_is_no_metric():
    (metric,) = count_at(0.5, make_result(faces=(LARGE,))).compute_metrics("drawn pictures")
    assert metric.name == "detection_recall"
