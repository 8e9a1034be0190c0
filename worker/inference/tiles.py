"""Detect the faces of long pictures in tiles, in which they are as large as in ordinary pictures."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.inference.decode import LONG_RATIO
from worker.inference.detector import Detection, decode_detections, merge_detections
from worker.inference.manifest import DetectionSettings
from worker.inference.network import Network
from worker.inference.preprocess import SourceImage

_MAX_TILES = 8
"""Bounds the time that a picture takes; where these are too few, each is longer."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a long picture, in pixels along its longer side; `end` and `core_end` are not included.

    The cores of a picture's tiles do not overlap, and cover it.
    """

    start: int
    end: int
    core_start: float
    core_end: float


def detect_faces(
    network: Network, image: SourceImage, heatmap: NDArray[np.float32], settings: DetectionSettings
) -> tuple[Detection, ...]:
    """Return the detections in a picture, the largest first.

    `heatmap` is what the network gives for the whole picture. Of a long one it reads each tile, since in a
    letterbox its faces are small.
    """
    width, height = image.image.size
    tiles = cut_tiles(max(width, height), min(width, height))
    if not tiles:
        return decode_detections(heatmap, settings, network.spec.input, width, height)
    detections = [
        detection for tile in tiles for detection in _detect_in_tile(network, image, tile, settings)
    ]
    return merge_detections(detections, settings)


def cut_tiles(length: int, breadth: int) -> tuple[Tile, ...]:
    """Return the tiles of a long picture; none of any other.

    Tiles have `LONG_RATIO` and overlap by the picture's breadth, the side of the largest face in it: so each
    face is whole in the tile in whose core its middle lies.
    """
    tile_length = math.ceil(max(LONG_RATIO * breadth, breadth + (length - breadth) / _MAX_TILES))
    count = math.ceil((length - breadth) / (tile_length - breadth))
    if count < 2:
        return ()
    starts = [index * (length - tile_length) // (count - 1) for index in range(count)]
    ends = [start + tile_length for start in starts]
    middles = [(end + start) / 2 for end, start in zip(ends[:-1], starts[1:], strict=True)]
    return tuple(map(Tile, starts, ends, [-math.inf, *middles], [*middles, math.inf]))


def _detect_in_tile(
    network: Network, image: SourceImage, tile: Tile, settings: DetectionSettings
) -> Iterator[Detection]:
    """Yield the detections whose middle lies in the core of a tile, in pixels of the picture."""
    width, height = image.image.size
    is_wide = width > height
    left, top, right, bottom = (
        (tile.start, 0, tile.end, height) if is_wide else (0, tile.start, width, tile.end)
    )
    spec = network.spec.input
    (pixels,) = image.crop(left, top, right, bottom).resize_all([spec])
    for face in decode_detections(network.run(pixels)["heatmap"], settings, spec, right - left, bottom - top):
        detection = Detection(
            face.left + left, face.top + top, face.right + left, face.bottom + top, face.score
        )
        middle = (detection.left + detection.right if is_wide else detection.top + detection.bottom) / 2
        if tile.core_start <= middle < tile.core_end:
            yield detection
