"""Logits of faces and scene become those of the picture, and logits become probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.detector import Detection
from worker.inference.fusion import (
    RawOutputs,
    average_logits,
    compute_background_share,
    fuse_logits,
    softmax,
)
from worker.inference.manifest import Fusion

FUSION = Fusion(face_weight=2.0, scene_weight=0.5, no_face_weight=3.0)

SCENE = np.array([1.0, -1.0], np.float32)

logits = st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=5)


@given(logits)
def test_probabilities_sum_to_one_and_keep_the_order(values: list[float]) -> None:
    probabilities = softmax(np.array(values, np.float32))
    assert probabilities.sum() == pytest.approx(1)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities[int(np.argmax(values))] == probabilities.max()


@given(logits, st.floats(-100, 100, width=32))
def test_what_is_added_to_every_logit_changes_no_probability(values: list[float], shift: float) -> None:
    exact = np.array(values, np.float32).round(2)
    assert softmax(exact.astype(np.float64) + shift) == pytest.approx(softmax(exact), abs=1e-4)  # type: ignore[arg-type]


def test_softmax_of_known_logits_is_known() -> None:
    assert softmax(np.array([0.0, np.log(3)], np.float32)) == pytest.approx([0.25, 0.75])


def test_softmax_of_several_rows_is_that_of_each() -> None:
    rows = np.array([[0.0, np.log(3)], [2.0, 2.0]], np.float32)
    assert softmax(rows) == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def make_outputs(*faces: tuple[int, list[float]]) -> RawOutputs:
    """Make outputs of faces with a score of 1, each a side and its logits."""
    detections = tuple(Detection(0, 0, side, side, 1.0) for side, _ in faces)
    face_logits = np.array([values for _, values in faces], np.float32).reshape(-1, 2)
    return RawOutputs(detections, face_logits, SCENE)


def make_outputs_with(*scores: float) -> RawOutputs:
    """Make outputs of two faces of one size, the first happy and the second sad, or of the first alone."""
    detections = tuple(
        Detection(40 * index, 0, 40 * index + 20, 20, score) for index, score in enumerate(scores)
    )
    return RawOutputs(detections, np.eye(2, dtype=np.float32)[: len(scores)], SCENE)


def test_without_a_detector_the_logits_are_those_of_the_scene() -> None:
    assert (fuse_logits(make_outputs(), None) == SCENE).all()


def test_without_a_detection_the_scene_counts_by_the_weight_for_no_face() -> None:
    assert fuse_logits(make_outputs(), FUSION).tolist() == [3.0, -3.0]


def test_faces_count_by_their_area_beside_the_scene() -> None:
    fused = fuse_logits(make_outputs((30, [1.0, 0.0]), (10, [0.0, 1.0])), FUSION)
    assert fused == pytest.approx([2 * 0.9 + 0.5, 2 * 0.1 - 0.5])
    assert fused.dtype == np.float32


def test_a_face_that_the_edge_cuts_off_counts_by_its_longer_side() -> None:
    outputs = RawOutputs(
        (Detection(0, 0, 10, 20, 1.0), Detection(40, 0, 60, 20, 1.0)),
        np.array([[1, 0], [0, 1]], np.float32),
        SCENE,
    )
    assert fuse_logits(outputs, FUSION) == pytest.approx([1.5, 0.5])


def test_a_face_counts_by_the_cube_of_the_detectors_score() -> None:
    assert fuse_logits(make_outputs_with(1.0, 0.5), FUSION) == pytest.approx([2 * 8 / 9 + 0.5, 2 / 9 - 0.5])


def test_the_scene_counts_by_the_share_of_background() -> None:
    close_up = replace(make_outputs((30, [1.0, 0.0])), background_share=0.25)
    assert fuse_logits(close_up, FUSION) == pytest.approx([2 + 0.25 * 0.5, -0.25 * 0.5])


def test_as_far_as_no_detection_may_be_a_face_the_scene_counts_by_the_weight_for_no_face() -> None:
    assert fuse_logits(make_outputs_with(0.6), FUSION) == pytest.approx(
        [0.6 * (2 + 0.5) + 0.4 * 3, -0.6 * 0.5 - 0.4 * 3]
    )
    fused = fuse_logits(make_outputs_with(0.5, 0.5), FUSION)
    assert fused == pytest.approx([0.75 * (1 + 0.5) + 0.25 * 3, 0.75 * (1 - 0.5) - 0.25 * 3])


def test_detections_with_next_to_no_score_leave_it_to_the_scene() -> None:
    assert fuse_logits(make_outputs_with(1e-200, 1e-200), FUSION) == pytest.approx([3.0, -3.0])


def test_logits_of_several_networks_are_averaged() -> None:
    average = average_logits([np.array(row, np.float32) for row in ([1, 2], [2, 0], [3, 1])])
    assert average.tolist() == [2.0, 1.0]
    assert average.dtype == np.float32


def test_the_background_is_what_no_face_covers_each_by_its_score() -> None:
    assert compute_background_share((), 40, 20) == 1.0
    detections = (Detection(0, 0, 10, 20, 0.5), Detection(20, 0, 40, 10, 1.0))
    assert compute_background_share(detections, 40, 20) == pytest.approx(1 - (100 + 200) / 800)


def test_faces_that_overlap_never_cover_more_than_the_picture() -> None:
    assert compute_background_share((Detection(0, 0, 10, 10, 1.0),) * 2, 10, 10) == 0.0
