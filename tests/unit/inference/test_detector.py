"""Faces are decoded from the detector's heatmap, and lie in the picture where they were drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from worker.inference.detector import Detection, crop_face, decode_detections
from worker.inference.manifest import DetectionSettings, InputSpec
from worker.inference.preprocess import compute_placement, resize_to_input

SPEC = InputSpec(320, 320, "rgb", "letterbox")
ROWS = 40
"""Of a heatmap, and columns."""

Heatmap = NDArray[np.float32]


def make_heatmap() -> Heatmap:
    """Make a heatmap without a face."""
    heatmap = np.zeros((ROWS, ROWS, 4), np.float32)
    heatmap[..., 0] = -10
    return heatmap


def add_face(heatmap: Heatmap, left: float, top: float, side: float, logit: float = 5.0) -> Heatmap:
    """Put a square of input pixels into a heatmap."""
    x, y = (left + side / 2) / 8, (top + side / 2) / 8
    row, column = int(y), int(x)
    heatmap[row, column] = logit, x - column - 0.5, y - row - 0.5, np.log(side / 8)
    return heatmap


def measure_stretch(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle and the length of a bright stretch to a fraction of a pixel."""
    length = float(profile.sum())
    return float((np.arange(len(profile)) + 0.5) @ profile) / length, length


def decode(
    heatmap: Heatmap,
    width: int = 320,
    height: int = 320,
    score_threshold: float = 0.5,
    max_faces: int = 100,
) -> tuple[Detection, ...]:
    return decode_detections(heatmap, DetectionSettings(score_threshold, max_faces), SPEC, width, height)


def list_edges(detection: Detection) -> tuple[int, ...]:
    return detection.left, detection.top, detection.right, detection.bottom


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
    placement = compute_placement(width, height, SPEC)
    letterbox = resize_to_input(pixels, SPEC)[..., 0] / 255
    rows = slice(placement.top, placement.top + placement.height)
    columns = slice(placement.left, placement.left + placement.width)
    inside = letterbox[rows, columns]
    (x, input_width), (y, input_height) = (measure_stretch(inside.max(axis=axis)) for axis in (0, 1))
    input_side = max(input_width, input_height)

    input_left, input_top = placement.left + x - input_side / 2, placement.top + y - input_side / 2
    (detection,) = decode(add_face(make_heatmap(), input_left, input_top, input_side), width, height)

    assert list_edges(detection) == pytest.approx((left, top, left + round(side), top + round(side)), abs=1)
    assert detection.score == pytest.approx(0.9933, abs=1e-4)


def test_what_is_under_the_score_threshold_is_no_face() -> None:
    heatmap = add_face(add_face(make_heatmap(), 40, 40, 32, logit=0.1), 200, 200, 32, logit=-0.1)
    assert [detection.left for detection in decode(heatmap)] == [40]
    assert len(decode(heatmap, score_threshold=0.4)) == 2
    assert decode(heatmap, score_threshold=1.0) == ()


def test_of_boxes_that_overlap_the_one_with_the_higher_score_is_kept() -> None:
    heatmap = add_face(add_face(make_heatmap(), 40, 40, 64, logit=2), 56, 40, 64, logit=3)
    assert [detection.left for detection in decode(heatmap)] == [56]
    apart = add_face(add_face(make_heatmap(), 40, 40, 64, logit=2), 80, 40, 64, logit=3)
    assert len(decode(apart)) == 2


def test_of_neighbouring_positions_one_is_a_face_even_where_all_have_the_same_score() -> None:
    heatmap = make_heatmap()
    heatmap[10:20, 10:20, 0] = 3
    assert len(decode(heatmap)) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("channel", range(4))
def test_a_position_that_is_not_finite_is_no_face_and_hides_none(channel: int, value: float) -> None:
    heatmap = add_face(make_heatmap(), 40, 40, 32)
    heatmap[7, 6] = 9.0, 0.0, 0.0, 1.0
    heatmap[7, 6, channel] = value
    (detection,) = decode(heatmap)
    assert list_edges(detection) == (40, 40, 72, 72)


def test_the_largest_come_first_and_no_more_than_the_maximum() -> None:
    heatmap = make_heatmap()
    for index, side in enumerate((16, 48, 24, 40, 32)):
        add_face(heatmap, 10 + 60 * index, 100, side, logit=5 - index)
    assert [detection.side for detection in decode(heatmap)] == [48, 40, 32, 24, 16]
    assert [detection.side for detection in decode(heatmap, max_faces=2)] == [48, 40]


def test_a_face_is_clipped_to_the_picture_and_one_in_the_bars_is_dropped() -> None:
    heatmap = add_face(make_heatmap(), -20, 150, 60)
    add_face(heatmap, 200, 4, 40)
    (detection,) = decode(heatmap, 640, 320)  # the picture lies in rows 80 to 240
    assert list_edges(detection) == (0, 140, 80, 260)
    assert detection.side == 120


def test_hundreds_of_faces_are_detected_and_kept_apart() -> None:
    heatmap = make_heatmap()
    for row in range(1, 20):
        for column in range(1, 20):
            add_face(heatmap, 16 * column, 16 * row, 12)
    assert len(decode(heatmap, max_faces=200)) == 200
    assert len(decode(heatmap, max_faces=1000)) == 361


@given(
    arrays(np.float32, (5, 6, 4), elements=st.floats(width=32)),
    st.integers(1, 700),
    st.integers(1, 700),
)
def test_whatever_a_detector_gives_boxes_lie_in_the_picture(
    heatmap: Heatmap, width: int, height: int
) -> None:
    spec = InputSpec(48, 40, "rgb", "letterbox")
    detections = decode_detections(heatmap, DetectionSettings(0.0, 100), spec, width, height)
    for detection in detections:
        assert 0 <= detection.left <= detection.right - 2 <= width - 2
        assert 0 <= detection.top <= detection.bottom - 2 <= height - 2
        assert 0 <= detection.score <= 1
    sides = [detection.side for detection in detections]
    assert sides == sorted(sides, reverse=True)


def test_a_face_is_cropped_without_a_copy() -> None:
    pixels = np.arange(300, dtype=np.uint16).astype(np.uint8).reshape(10, 10, 3)
    face = crop_face(pixels, Detection(2, 3, 7, 9, 1.0))
    assert face.shape == (6, 5, 3)
    assert (face[0, 0] == pixels[3, 2]).all()
    assert np.shares_memory(face, pixels)
