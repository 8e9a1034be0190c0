"""Square bounding boxes of faces: rows of centre x, centre y and side, in pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""float32 (N, 3)."""

_MIN_AREA = 1e-6
"""In square pixels, so that no area divides by zero."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """What is known of a picture: the faces in it, and regions where there may be one, float32 (N, 3) each.

    What is predicted in an ignore region is neither right nor wrong.
    """

    faces: Boxes
    ignore_regions: Boxes


def make_no_boxes() -> Boxes:
    """Return float32 (0, 3)."""
    return np.zeros((0, 3), np.float32)


def compute_iou(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Return the intersection over union of each pair: float32 (N, M), 0 to 1."""
    first_corners, second_corners = compute_corners(first)[:, None], compute_corners(second)[None]
    low = np.maximum(first_corners[..., :2], second_corners[..., :2])
    high = np.minimum(first_corners[..., 2:], second_corners[..., 2:])
    intersections = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = first[:, 2, None] ** 2 + second[None, :, 2] ** 2
    iou: NDArray[np.float32] = intersections / np.maximum(areas - intersections, _MIN_AREA)
    return iou


def compute_visible_shares(boxes: Boxes, width: float, height: float) -> NDArray[np.float32]:
    """Return how much of each box lies in a picture: float32 (N,), 0 to 1."""
    corners = compute_corners(boxes)
    low = np.maximum(corners[:, :2], 0.0)
    high = np.minimum(corners[:, 2:], np.array([width, height], np.float32))
    visible_areas: NDArray[np.float32] = np.prod(np.maximum(high - low, 0.0), axis=1)
    return np.asarray(visible_areas / np.maximum(boxes[:, 2] ** 2, _MIN_AREA), np.float32)


def compute_corners(boxes: Boxes) -> NDArray[np.float32]:
    """Return left, top, right and bottom: float32 (N, 4)."""
    half = boxes[:, 2:] / 2
    corners: NDArray[np.float32] = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners
