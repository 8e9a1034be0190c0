"""A long picture is read in tiles: every face of it is detected once, wherever it lies."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import load_bundle
from worker.inference.decode import Pixels
from worker.inference.detector import Detection
from worker.inference.manifest import HEATMAP_STRIDE, DetectionSettings
from worker.inference.network import Network, Outputs
from worker.inference.preprocess import SourceImage
from worker.inference.tiles import cut_tiles, detect_faces

SETTINGS = DetectionSettings(score_threshold=0.5, max_faces=64)


class SquareNetwork(Network):
    """Takes each bright patch for a face, as much of it as its input shows, and counts its runs."""

    def __init__(self) -> None:
        self.spec = load_bundle(BUILT_IN_BUNDLE).manifest.networks[0]
        self.runs = 0

    def run(self, pixels: Pixels) -> Outputs:
        self.runs += 1
        height, width, _ = pixels.shape
        heatmap = np.zeros((height // HEATMAP_STRIDE, width // HEATMAP_STRIDE, 4), np.float32)
        heatmap[..., 0] = -10
        patches, _ = ndimage.label(pixels[..., 0] > 200)
        for rows, columns in ndimage.find_objects(patches):
            x, y = ((span.start + span.stop) / 2 / HEATMAP_STRIDE for span in (columns, rows))
            side = max(columns.stop - columns.start, rows.stop - rows.start) / HEATMAP_STRIDE
            heatmap[int(y), int(x)] = 4, x - int(x) - 0.5, y - int(y) - 0.5, math.log(side)
        return {"heatmap": heatmap}


def draw_square(width: int, height: int, left: int, top: int, side: int) -> Pixels:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top : top + side, left : left + side] = 255
    return pixels


def detect(pixels: Pixels, network: SquareNetwork) -> tuple[Detection, ...]:
    blank: NDArray[np.float32] = np.full((40, 40, 4), -10, np.float32)
    return detect_faces(network, SourceImage.from_pixels(pixels), blank, SETTINGS)


@given(st.integers(1, 20_000), st.integers(1, 2_000), st.floats(0, 1), st.floats(0, 1))
def test_a_face_no_larger_than_the_breadth_is_whole_in_the_tile_in_whose_core_it_lies(
    length: int, breadth: int, position: float, size: float
) -> None:
    tiles = cut_tiles(length, breadth)
    assert bool(tiles) == (length > math.ceil(2.5 * breadth))
    assert len(tiles) <= 8
    if not tiles:
        return
    assert tiles[0].start == 0
    assert tiles[-1].end == length
    middle, half = position * length, size * breadth / 2
    (tile,) = (tile for tile in tiles if tile.core_start <= middle < tile.core_end)
    assert tile.start <= max(0, middle - half) + 0.5
    assert min(length, middle + half) <= tile.end + 0.5


@pytest.mark.parametrize(
    ("length", "breadth", "count"),
    [(640, 256, 0), (641, 256, 2), (2048, 256, 5), (3072, 256, 8), (5120, 100, 8)],
)
def test_there_are_as_many_tiles_as_the_length_calls_for_and_no_more_than_8(
    length: int, breadth: int, count: int
) -> None:
    assert len(cut_tiles(length, breadth)) == count


@pytest.mark.parametrize(
    "turn", [lambda pixels: pixels, lambda pixels: pixels.transpose(1, 0, 2)], ids=["wide", "tall"]
)
@pytest.mark.parametrize("side", [20, 60, 110])
def test_a_face_is_detected_once_wherever_in_a_long_picture_it_lies(
    side: int, turn: Callable[[Pixels], Pixels]
) -> None:
    network = SquareNetwork()
    for left in range(0, 1000 - side, 23):
        pixels = np.ascontiguousarray(turn(draw_square(1000, 120, left, 5, side)))
        (detection,) = detect(pixels, network)
        x, y = detection.left, detection.top
        if pixels.shape[0] > pixels.shape[1]:
            x, y = y, x
        assert (x, y, detection.side) == pytest.approx((left, 5, side), abs=3)


def test_an_ordinary_picture_is_read_as_a_whole_alone() -> None:
    network = SquareNetwork()
    assert detect(draw_square(300, 120, 100, 20, 60), network) == ()  # as the blank heatmap says
    assert network.runs == 0


def test_of_the_faces_in_all_tiles_the_largest_are_kept() -> None:
    pixels = np.maximum.reduce(
        [draw_square(1600, 100, 40 + 80 * index, 10, 20 + 2 * index) for index in range(18)]
    )
    settings = DetectionSettings(score_threshold=0.5, max_faces=5)
    blank: NDArray[np.float32] = np.full((40, 40, 4), -10, np.float32)
    detections = detect_faces(SquareNetwork(), SourceImage.from_pixels(pixels), blank, settings)
    assert [detection.side for detection in detections] == pytest.approx([54, 52, 50, 48, 46], abs=3)
