"""Decode the heatmap of a face detector into bounding boxes, and crop faces from the picture."""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.inference.decode import Pixels
from worker.inference.manifest import HEATMAP_STRIDE, DetectionSettings, InputSpec
from worker.inference.preprocess import compute_placement

_MAX_IOU = 0.4
"""IoU (intersection over union) above which two boxes are of one face."""

_MIN_SIDE = 2
"""Pixels of the picture; smaller boxes, most of them cut off by its edge, have nothing to classify."""

_MAX_LOG_SIDE = 10.0
"""exp(10) strides are larger than any picture, and still no infinity."""

_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Rows and columns from a position to those around it."""

_Position = tuple[int, int]
"""A row and a column of the heatmap."""

_Rank = tuple[float, int, int]
"""The logit of a position, and the position: of equal logits the first in reading order ranks highest."""


@dataclass(frozen=True, slots=True)
class Detection:
    """The bounding box of a face in pixels of the decoded picture, right and bottom not included.

    Boxes are squares but for what lies outside of the picture. `score` is the detector's, 0 to 1.
    """

    left: int
    top: int
    right: int
    bottom: int
    score: float

    @property
    def side(self) -> int:
        """The longer side: that of the square, unless a corner of the picture cuts off both."""
        return max(self.right - self.left, self.bottom - self.top)


class _Box(NamedTuple):
    """A bounding box in pixels of the network's input."""

    left: float
    top: float
    right: float
    bottom: float
    score: float


_BoundingBox = TypeVar("_BoundingBox", Detection, _Box)


def decode_detections(
    heatmap: NDArray[np.float32], settings: DetectionSettings, spec: InputSpec, width: int, height: int
) -> tuple[Detection, ...]:
    """Return the detections in a picture of width × height pixels, the largest first.

    `heatmap` is float32 (rows, columns, 4) as `OutputSpec` says, `spec` the input that it was computed from.
    A face is a position with a higher score than its eight neighbours (Zhou et al. 2019, "Objects as
    points"); of two whose boxes overlap, the one with the higher score is kept.
    """
    placement = compute_placement(width, height, spec)
    x_scale, y_scale = width / placement.width, height / placement.height
    detections = [
        Detection(
            _clamp((box.left - placement.left) * x_scale, width),
            _clamp((box.top - placement.top) * y_scale, height),
            _clamp((box.right - placement.left) * x_scale, width),
            _clamp((box.bottom - placement.top) * y_scale, height),
            box.score,
        )
        for box in _suppress_overlaps(_find_peaks(heatmap, settings.score_threshold))
    ]
    return _select_largest(filter(_is_visible, detections), settings)


def merge_detections(detections: Iterable[Detection], settings: DetectionSettings) -> tuple[Detection, ...]:
    """Return detections of several parts of a picture without those that overlap, the largest first."""
    ranking = sorted(detections, key=lambda detection: -detection.score)
    return _select_largest(_suppress_overlaps(ranking), settings)


def crop_face(pixels: Pixels, detection: Detection) -> Pixels:
    """Return the pixels of a face, uint8 (h, w, 3): a view of the picture's, uint8 (H, W, 3)."""
    return pixels[detection.top : detection.bottom, detection.left : detection.right]


def _select_largest(detections: Iterable[Detection], settings: DetectionSettings) -> tuple[Detection, ...]:
    return tuple(sorted(detections, key=lambda detection: -detection.side)[: settings.max_faces])


def _clamp(edge: float, length: int) -> int:
    return min(max(round(edge), 0), length)


def _is_visible(detection: Detection) -> bool:
    width, height = detection.right - detection.left, detection.bottom - detection.top
    return min(width, height) >= _MIN_SIDE


def _find_peaks(heatmap: NDArray[np.float32], score_threshold: float) -> list[_Box]:
    """Return the boxes of all peaks of a heatmap, the highest score first."""
    # Plain Python after the threshold: few positions reach it, and NumPy's calls take twice as long for them.
    candidates = np.nonzero(heatmap[..., 0] >= _compute_logit(score_threshold))
    positions = zip(*(indices.tolist() for indices in candidates), strict=True)
    values = {
        position: channels
        for position, channels in zip(positions, heatmap[candidates].tolist(), strict=True)
        # A network that overflows on some picture must not stop the batch, nor hide the faces beside it.
        if all(map(math.isfinite, channels))
    }
    ranks = {(row, column): (channels[0], -row, -column) for (row, column), channels in values.items()}
    peaks = [position for position in ranks if _is_peak(position, ranks)]
    peaks.sort(key=ranks.__getitem__, reverse=True)
    return [_decode_box(position, *values[position]) for position in peaks]


def _is_peak(position: _Position, ranks: dict[_Position, _Rank]) -> bool:
    """Tell whether a position ranks higher than its eight neighbours."""
    row, column = position
    rank = ranks[position]
    return all(ranks.get((row + rows, column + columns), rank) <= rank for rows, columns in _NEIGHBOURS)


def _decode_box(position: _Position, logit: float, dx: float, dy: float, log_side: float) -> _Box:
    row, column = position
    x, y = HEATMAP_STRIDE * (column + 0.5 + dx), HEATMAP_STRIDE * (row + 0.5 + dy)
    half = HEATMAP_STRIDE * math.exp(min(log_side, _MAX_LOG_SIDE)) / 2
    return _Box(x - half, y - half, x + half, y + half, 1 / (1 + math.exp(-logit)))


def _suppress_overlaps(boxes: Sequence[_BoundingBox]) -> list[_BoundingBox]:
    """Drop each box, the highest score first, that overlaps with one before it (greedy NMS)."""
    distinct: list[_BoundingBox] = []
    for box in boxes:
        if not any(_compute_iou(box, better) > _MAX_IOU for better in distinct):
            distinct.append(box)
    return distinct


def _compute_iou(first: _BoundingBox, second: _BoundingBox) -> float:
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (_compute_area(first) + _compute_area(second) - intersection)


def _compute_area(box: Detection | _Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _compute_logit(score: float) -> float:
    """Return the logit of a score, finite even for 0 and 1."""
    score = min(max(score, sys.float_info.min), 1 - sys.float_info.epsilon / 2)
    return math.log(score / (1 - score))
