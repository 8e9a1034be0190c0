"""What a finder's map should be, and that the worker reads the faces off it from which it was drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations, Boxes, compute_corners, make_no_boxes
from trainer.detection.targets import make_targets
from worker.inference.bundle import HEATMAP_STRIDE, Faces, InputSpec
from worker.inference.detector import Detection, decode_detections

SIDE = 256
CELLS = SIDE // HEATMAP_STRIDE
SPEC = InputSpec(SIDE, SIDE, "rgb", "letterbox")

HEAT, COUNTS, OWN = 0, 1, 2


def squares(*rows: tuple[float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 3)


def drawn(faces: Boxes, doubtful: Boxes | None = None) -> NDArray[np.float32]:
    return make_targets(Annotations(faces, make_no_boxes() if doubtful is None else doubtful), SIDE)


def answered(wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the answer of a network that has learnt its targets by heart."""
    heat = wanted[..., HEAT].clip(1e-6, 1 - 1e-6)
    return np.concatenate([np.log(heat / (1 - heat))[..., None], wanted[..., 3:]], axis=2).astype(np.float32)


def read(wanted: NDArray[np.float32]) -> tuple[Detection, ...]:
    faces = Faces(least_score=0.9, most=1000, face=1.0, whole=0.0, alone=1.0)
    return decode_detections(answered(wanted), faces, SPEC, SIDE, SIDE)


def clipped(faces: Boxes) -> list[tuple[int, ...]]:
    return [tuple(row) for row in compute_corners(faces).clip(0, SIDE).astype(int).tolist()]


def sides_of(box: Detection) -> tuple[int, ...]:
    return box.left, box.top, box.right, box.bottom


@st.composite
def one_square(draw: st.DrawFn) -> Boxes:
    """Draw a square with corners on whole pixels whose middle is on the canvas."""
    side = draw(st.integers(7, 250))
    half = side // 2
    left, top = (draw(st.integers(-half, SIDE - half - 1)) for _ in range(2))
    return squares((left + side / 2, top + side / 2, side))


@st.composite
def scattered(draw: st.DrawFn) -> Boxes:
    """Draw squares of less than 48 pixels, at most one around each crossing of a grid of 64 pixels."""
    rows = []
    for place in draw(st.sets(st.integers(0, 15))):
        side = draw(st.integers(7, 48))
        across, down = (64 * spot + draw(st.integers(24, 40)) for spot in divmod(place, 4))
        rows.append((across + side % 2 / 2, down + side % 2 / 2, side))
    return squares(*rows)


@given(one_square())
def test_heat_is_1_in_the_cell_of_a_faces_middle_alone(face):
    heat = drawn(face)[..., HEAT]
    column, row = (int(face[0, axis] / HEATMAP_STRIDE) for axis in (0, 1))
    assert heat[row, column] == 1
    assert (heat >= 1).sum() == 1
    assert heat.min() >= 0


@given(one_square())
def test_the_worker_reads_a_face_off_its_targets_to_the_pixel(face):
    (box,) = read(drawn(face))
    assert [sides_of(box)] == clipped(face)
    assert box.score > 0.99


@given(scattered())
def test_the_worker_reads_every_face_off_its_targets(faces):
    assert sorted(map(sides_of, read(drawn(faces)))) == sorted(clipped(faces))


def test_every_cell_that_answers_for_a_face_tells_the_same_square():
    wanted = drawn(squares((101, 61, 88)))
    rows, columns = np.nonzero(wanted[..., OWN])
    assert len(rows) > 4
    across, down, log_side = wanted[rows, columns, 3:].T
    assert HEATMAP_STRIDE * (columns + 0.5 + across) == pytest.approx(np.full(len(rows), 101), abs=1e-3)
    assert HEATMAP_STRIDE * (rows + 0.5 + down) == pytest.approx(np.full(len(rows), 61), abs=1e-3)
    assert HEATMAP_STRIDE * np.exp(log_side) == pytest.approx(np.full(len(rows), 88), rel=1e-5)


def test_cells_where_there_may_be_a_face_do_not_count():
    counts = drawn(make_no_boxes(), squares((64, 64, 32)))[..., COUNTS]
    expected = np.ones((CELLS, CELLS))
    expected[6:10, 6:10] = 0
    assert (counts == expected).all()


def test_a_face_in_a_doubtful_place_counts():
    wanted = drawn(squares((68, 68, 16)), squares((64, 64, 64)))
    assert wanted[8, 8, HEAT] == wanted[8, 8, COUNTS] == wanted[8, 8, OWN] == 1
    assert wanted[4, 4, COUNTS] == 0


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_faces_that_overlap_the_smaller_one_is_told_where_both_would_answer(order):
    both = squares((100, 100, 120), (108, 100, 24))[::order]
    wanted = drawn(both)
    assert np.exp(wanted[12, 13, 5]) * HEATMAP_STRIDE == pytest.approx(24)
    assert (wanted[..., HEAT] >= 1).sum() == 2


def test_where_nothing_is_known_all_cells_count_and_none_answers():
    wanted = drawn(make_no_boxes())
    assert wanted.shape == (CELLS, CELLS, 6)
    assert wanted.dtype == np.float32
    assert (wanted[..., COUNTS] == 1).all()
    assert not wanted[..., [HEAT, OWN, 3, 4, 5]].any()
