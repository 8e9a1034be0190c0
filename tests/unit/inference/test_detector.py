"""Faces are read off the finder's map, and lie in the picture where they were seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.inference.bundle import Faces, InputSpec
from worker.inference.detector import Detection, crop_face, decode_detections
from worker.inference.preprocess import compute_placement, resize_to_input

SPEC = InputSpec(320, 320, "rgb", "letterbox")
CELLS = 40


def faces(least_score: float = 0.5, most: int = 100) -> Faces:
    return Faces(least_score, most, face=1.0, whole=1.0, alone=1.0)


def empty_map() -> np.ndarray:  # type: ignore[type-arg]
    answer = np.zeros((CELLS, CELLS, 4), np.float32)
    answer[..., 0] = -10
    return answer


def with_face(answer, left, top, side, logit=5.0):  # type: ignore[no-untyped-def]
    """Put a square of input pixels into a map."""
    across, down = (left + side / 2) / 8, (top + side / 2) / 8
    row, column = int(down), int(across)
    answer[row, column] = logit, across - column - 0.5, down - row - 0.5, np.log(side / 8)
    return answer


def middle_and_length(profile: np.ndarray) -> tuple[float, float]:  # type: ignore[type-arg]
    """Measure a bright stretch to a fraction of a pixel."""
    length = float(profile.sum())
    return float((np.arange(len(profile)) + 0.5) @ profile) / length, length


def found_in(answer, width: int = 320, height: int = 320, **settings) -> tuple[Detection, ...]:  # type: ignore[no-untyped-def]
    return decode_detections(answer, faces(**settings), SPEC, width, height)


def sides_of(box: Detection) -> tuple[int, ...]:
    return box.left, box.top, box.right, box.bottom


@pytest.mark.parametrize(
    ("width", "height"),
    [(640, 480), (480, 640), (640, 640), (320, 240), (640, 21), (21, 640), (37, 53), (8, 8), (101, 640)],
    ids=str,
)
def test_a_drawn_square_is_mapped_back_within_a_pixel(width: int, height: int) -> None:
    side = min(width, height) / 2
    left, top = round(width * 0.4 - side / 3), round(height * 0.3)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top : top + round(side), left : left + round(side)] = 255
    place = compute_placement(width, height, SPEC)
    shown = resize_to_input(pixels, SPEC)[..., 0] / 255
    inside = shown[place.top : place.top + place.height, place.left : place.left + place.width]
    (across, wide), (down, high) = (middle_and_length(inside.max(axis=axis)) for axis in (0, 1))
    seen = max(wide, high)

    left_in, top_in = place.left + across - seen / 2, place.top + down - seen / 2
    (box,) = found_in(with_face(empty_map(), left_in, top_in, seen), width, height)

    assert sides_of(box) == pytest.approx((left, top, left + round(side), top + round(side)), abs=1)
    assert box.score == pytest.approx(0.9933, abs=1e-4)


def test_what_is_under_the_least_score_is_no_face() -> None:
    answer = with_face(with_face(empty_map(), 40, 40, 32, logit=0.1), 200, 200, 32, logit=-0.1)
    assert [box.left for box in found_in(answer)] == [40]
    assert len(found_in(answer, least_score=0.4)) == 2
    assert found_in(answer, least_score=1.0) == ()


def test_of_squares_that_overlap_the_surer_one_is_taken() -> None:
    answer = with_face(with_face(empty_map(), 40, 40, 64, logit=2), 56, 40, 64, logit=3)
    assert [box.left for box in found_in(answer)] == [56]
    apart = with_face(with_face(empty_map(), 40, 40, 64, logit=2), 80, 40, 64, logit=3)
    assert len(found_in(apart)) == 2


def test_of_neighbouring_cells_one_is_a_face_even_where_all_are_as_sure() -> None:
    answer = empty_map()
    answer[10:20, 10:20, 0] = 3
    assert len(found_in(answer)) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("position", range(4))
def test_a_cell_that_is_no_number_is_no_face_and_hides_none(position: int, value: float) -> None:
    answer = with_face(empty_map(), 40, 40, 32)
    answer[7, 6] = 9.0, 0.0, 0.0, 1.0
    answer[7, 6, position] = value
    (box,) = found_in(answer)
    assert sides_of(box) == (40, 40, 72, 72)


def test_the_largest_come_first_and_no_more_than_the_most() -> None:
    answer = empty_map()
    for place, side in enumerate((16, 48, 24, 40, 32)):
        with_face(answer, 10 + 60 * place, 100, side, logit=5 - place)
    assert [box.side for box in found_in(answer)] == [48, 40, 32, 24, 16]
    assert [box.side for box in found_in(answer, most=2)] == [48, 40]


def test_a_face_is_clipped_to_the_picture_and_one_in_the_bars_is_none() -> None:
    answer = with_face(empty_map(), -20, 150, 60)
    with_face(answer, 200, 4, 40)
    (box,) = found_in(answer, 640, 320)  # the picture lies in rows 80 to 240
    assert sides_of(box) == (0, 140, 80, 260)
    assert box.side == 120


def test_two_hundred_faces_are_found_and_apart() -> None:
    answer = empty_map()
    for row in range(1, 20):
        for column in range(1, 20):
            with_face(answer, 16 * column, 16 * row, 12)
    assert len(found_in(answer, most=200)) == 200
    assert len(found_in(answer, most=1000)) == 361


@given(
    arrays(np.float32, (5, 6, 4), elements=st.floats(width=32)),
    st.integers(1, 700),
    st.integers(1, 700),
)
def test_whatever_a_finder_answers_boxes_lie_in_the_picture(answer, width, height) -> None:  # type: ignore[no-untyped-def]
    spec = InputSpec(48, 40, "rgb", "letterbox")
    boxes = decode_detections(answer, faces(least_score=0.0), spec, width, height)
    for box in boxes:
        assert 0 <= box.left <= box.right - 2 <= width - 2
        assert 0 <= box.top <= box.bottom - 2 <= height - 2
        assert 0 <= box.score <= 1
    assert [box.side for box in boxes] == sorted((box.side for box in boxes), reverse=True)


def test_a_face_is_cut_without_a_copy() -> None:
    pixels = np.arange(300, dtype=np.uint16).astype(np.uint8).reshape(10, 10, 3)
    face = crop_face(pixels, Detection(2, 3, 7, 9, 1.0))
    assert face.shape == (6, 5, 3)
    assert (face[0, 0] == pixels[3, 2]).all()
    assert np.shares_memory(face, pixels)
