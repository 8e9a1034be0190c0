"""What a heatmap should be, and that the worker decodes from it the faces that it was made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations, Boxes, compute_corners, make_no_boxes
from trainer.detection.targets import make_targets
from worker.inference.detector import Detection, decode_detections
from worker.inference.manifest import HEATMAP_STRIDE, DetectionSettings, InputSpec

SIDE = 256
ROWS = SIDE // HEATMAP_STRIDE
SPEC = InputSpec(SIDE, SIDE, "rgb", "letterbox")

HEAT, COUNTED, RESPONSIBLE = 0, 1, 2


def make_boxes(*rows: tuple[float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 3)


def make_targets_of(faces: Boxes, ignore_regions: Boxes | None = None) -> NDArray[np.float32]:
    regions = make_no_boxes() if ignore_regions is None else ignore_regions
    return make_targets(Annotations(faces, regions), SIDE)


def predict_perfectly(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the heatmap of a network that has learned its targets by heart."""
    heat = targets[..., HEAT].clip(1e-6, 1 - 1e-6)
    return np.concatenate([np.log(heat / (1 - heat))[..., None], targets[..., 3:]], axis=2).astype(np.float32)


def decode(targets: NDArray[np.float32]) -> tuple[Detection, ...]:
    settings = DetectionSettings(score_threshold=0.9, max_faces=1000)
    return decode_detections(predict_perfectly(targets), settings, SPEC, SIDE, SIDE)


def clip_corners(faces: Boxes) -> list[tuple[int, ...]]:
    return [tuple(row) for row in compute_corners(faces).clip(0, SIDE).astype(int).tolist()]


def list_corners(detection: Detection) -> tuple[int, ...]:
    return detection.left, detection.top, detection.right, detection.bottom


@st.composite
def draw_box(draw: st.DrawFn) -> Boxes:
    """Draw a box with corners on whole pixels whose centre is in the picture."""
    side = draw(st.integers(7, 250))
    half = side // 2
    left, top = (draw(st.integers(-half, SIDE - half - 1)) for _ in range(2))
    return make_boxes((left + side / 2, top + side / 2, side))


@st.composite
def draw_scattered_boxes(draw: st.DrawFn) -> Boxes:
    """Draw boxes of less than 48 pixels, at most one around each crossing of a grid of 64 pixels."""
    rows = []
    for crossing in draw(st.sets(st.integers(0, 15))):
        side = draw(st.integers(7, 48))
        x, y = (64 * index + draw(st.integers(24, 40)) for index in divmod(crossing, 4))
        rows.append((x + side % 2 / 2, y + side % 2 / 2, side))
    return make_boxes(*rows)


@given(draw_box())
def test_heat_is_1_at_the_position_of_a_faces_centre_alone(face):
    heat = make_targets_of(face)[..., HEAT]
    column, row = (int(face[0, axis] / HEATMAP_STRIDE) for axis in (0, 1))
    assert heat[row, column] == 1
    assert (heat >= 1).sum() == 1
    assert heat.min() >= 0


@given(draw_box())
def test_the_worker_decodes_a_face_from_its_targets_to_the_pixel(face):
    (detection,) = decode(make_targets_of(face))
    assert [list_corners(detection)] == clip_corners(face)
    assert detection.score > 0.99


@given(draw_scattered_boxes())
def test_the_worker_decodes_every_face_from_its_targets(faces):
    assert sorted(map(list_corners, decode(make_targets_of(faces)))) == sorted(clip_corners(faces))


def test_every_position_that_is_responsible_for_a_face_has_the_same_box():
    targets = make_targets_of(make_boxes((101, 61, 88)))
    rows, columns = np.nonzero(targets[..., RESPONSIBLE])
    assert len(rows) > 4
    dx, dy, log_side = targets[rows, columns, 3:].T
    assert HEATMAP_STRIDE * (columns + 0.5 + dx) == pytest.approx(np.full(len(rows), 101), abs=1e-3)
    assert HEATMAP_STRIDE * (rows + 0.5 + dy) == pytest.approx(np.full(len(rows), 61), abs=1e-3)
    assert HEATMAP_STRIDE * np.exp(log_side) == pytest.approx(np.full(len(rows), 88), rel=1e-5)


def test_positions_in_an_ignore_region_do_not_count():
    counted = make_targets_of(make_no_boxes(), make_boxes((64, 64, 32)))[..., COUNTED]
    expected = np.ones((ROWS, ROWS))
    expected[6:10, 6:10] = 0
    assert (counted == expected).all()


def test_a_face_in_an_ignore_region_counts():
    targets = make_targets_of(make_boxes((68, 68, 16)), make_boxes((64, 64, 64)))
    assert targets[8, 8, HEAT] == targets[8, 8, COUNTED] == targets[8, 8, RESPONSIBLE] == 1
    assert targets[4, 4, COUNTED] == 0


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_faces_that_overlap_the_smaller_one_is_the_target_where_both_could_be(order):
    faces = make_boxes((100, 100, 120), (108, 100, 24))[::order]
    targets = make_targets_of(faces)
    assert np.exp(targets[12, 13, 5]) * HEATMAP_STRIDE == pytest.approx(24)
    assert (targets[..., HEAT] >= 1).sum() == 2


def test_without_annotations_all_positions_count_and_none_is_responsible():
    targets = make_targets_of(make_no_boxes())
    assert targets.shape == (ROWS, ROWS, 6)
    assert targets.dtype == np.float32
    assert (targets[..., COUNTED] == 1).all()
    assert not targets[..., [HEAT, RESPONSIBLE, 3, 4, 5]].any()
