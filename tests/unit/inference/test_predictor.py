"""Probabilities from logits, and the label that they stand for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import Bundle, Faces, load_bundle
from worker.inference.decode import Picture
from worker.inference.detector import Detection
from worker.inference.predictor import Predictor, RawOutputs, fuse_logits, softmax

logits = st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=5)


@given(logits)
def test_probabilities_sum_to_one_and_keep_the_order(values: list[float]) -> None:
    found = softmax(np.array(values, np.float32))
    assert found.sum() == pytest.approx(1)
    assert ((found >= 0) & (found <= 1)).all()
    assert found[int(np.argmax(values))] == found.max()


@given(logits, st.floats(-100, 100, width=32))
def test_what_is_added_to_every_logit_changes_nothing(values: list[float], shift: float) -> None:
    exact = np.array(values, np.float32).round(2)
    assert softmax(exact.astype(np.float64) + shift) == pytest.approx(softmax(exact), abs=1e-4)  # type: ignore[arg-type]


def test_softmax_of_known_logits_is_known() -> None:
    assert softmax(np.array([0.0, np.log(3)], np.float32)) == pytest.approx([0.25, 0.75])


class Told(Predictor):
    """A judge whose networks say what it is told."""

    def __init__(self, bundle: Bundle, answer: list[float]) -> None:
        super().__init__(bundle)
        self._answer = np.array(answer, np.float32)

    def run_networks(self, picture: Picture) -> RawOutputs:
        return RawOutputs((), np.empty((0, 2), np.float32), self._answer)


def verdict_on(answer: list[float], threshold: float | None, temperature: float = 1.0):  # type: ignore[no-untyped-def]
    bundle = load_bundle(BUILT_IN_BUNDLE)
    calibration = replace(bundle.manifest.calibration, temperature=temperature)
    weights = replace(bundle.manifest.faces, alone=1.0)  # type: ignore[type-var]
    manifest = replace(bundle.manifest, decision_threshold=threshold, calibration=calibration, faces=weights)
    judge = Told(replace(bundle, manifest=manifest), answer)
    return judge.predict(Picture(np.zeros((8, 8, 3), np.uint8), 8, 8))


@pytest.mark.parametrize(
    ("threshold", "label"), [(None, "happy"), (0.5, "happy"), (0.74, "happy"), (0.76, "sad"), (1.0, "sad")]
)
def test_the_first_class_is_the_label_from_the_threshold_on(threshold: float | None, label: str) -> None:
    verdict = verdict_on([float(np.log(3)), 0.0], threshold)  # happy 0.75, sad 0.25
    assert verdict.label == label
    assert verdict.confidence == pytest.approx(0.75 if label == "happy" else 0.25)
    assert verdict.scores == pytest.approx({"happy": 0.75, "sad": 0.25})


def test_a_temperature_makes_a_verdict_surer_or_less_sure_of_the_same_label() -> None:
    cold, hot = (verdict_on([2.0, 0.0], None, temperature) for temperature in (0.5, 2.0))
    assert cold.label == hot.label
    assert cold.confidence > hot.confidence > 0.5


WEIGHTS = Faces(least_score=0.5, most=8, face=2.0, whole=0.5, alone=3.0)

WHOLE = np.array([1.0, -1.0], np.float32)


def evidence(*seen: tuple[int, list[float]]) -> RawOutputs:
    """Make evidence of faces that are faces for sure, each a side and its logits."""
    boxes = tuple(Detection(0, 0, side, side, 1.0) for side, _ in seen)
    return RawOutputs(boxes, np.array([each for _, each in seen], np.float32).reshape(-1, 2), WHOLE)


def test_without_a_finder_the_whole_picture_says_it_alone() -> None:
    assert (fuse_logits(evidence(), None) == WHOLE).all()


def test_where_no_face_is_found_the_whole_picture_counts_as_much_as_it_does_alone() -> None:
    assert fuse_logits(evidence(), WEIGHTS).tolist() == [3.0, -3.0]


def test_faces_count_by_their_area_beside_the_whole_picture() -> None:
    both = evidence((30, [1.0, 0.0]), (10, [0.0, 1.0]))
    assert fuse_logits(both, WEIGHTS) == pytest.approx([2 * 0.9 + 0.5, 2 * 0.1 - 0.5])
    assert fuse_logits(both, WEIGHTS).dtype == np.float32


def test_a_face_that_the_edge_cuts_counts_by_the_side_it_has() -> None:
    cut = RawOutputs(
        (Detection(0, 0, 10, 20, 1.0), Detection(40, 0, 60, 20, 1.0)),
        np.array([[1, 0], [0, 1]], np.float32),
        WHOLE,
    )
    assert fuse_logits(cut, WEIGHTS) == pytest.approx([1.5, 0.5])


def found_with(*scores: float) -> RawOutputs:
    """Make evidence of two faces of one size, the first happy and the second sad, or of the first alone."""
    boxes = tuple(Detection(40 * place, 0, 40 * place + 20, 20, score) for place, score in enumerate(scores))
    return RawOutputs(boxes, np.eye(2, dtype=np.float32)[: len(scores)], WHOLE)


def test_a_face_counts_by_the_cube_of_the_finders_score() -> None:
    assert fuse_logits(found_with(1.0, 0.5), WEIGHTS) == pytest.approx([2 * 8 / 9 + 0.5, 2 / 9 - 0.5])


def test_the_whole_picture_counts_by_what_lies_around_the_faces() -> None:
    closer = replace(evidence((30, [1.0, 0.0])), around=0.25)
    assert fuse_logits(closer, WEIGHTS) == pytest.approx([2 + 0.25 * 0.5, -0.25 * 0.5])


def test_as_far_as_no_find_may_be_a_face_the_whole_picture_counts_as_it_does_alone() -> None:
    assert fuse_logits(found_with(0.6), WEIGHTS) == pytest.approx(
        [0.6 * (2 + 0.5) + 0.4 * 3, -0.6 * 0.5 - 0.4 * 3]
    )
    both = fuse_logits(found_with(0.5, 0.5), WEIGHTS)
    assert both == pytest.approx([0.75 * (1 + 0.5) + 0.25 * 3, 0.75 * (1 - 0.5) - 0.25 * 3])


def test_finds_that_are_next_to_nothing_leave_it_to_the_whole_picture() -> None:
    assert fuse_logits(found_with(1e-200, 1e-200), WEIGHTS) == pytest.approx([3.0, -3.0])
