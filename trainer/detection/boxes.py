"""Squares that hold faces: rows of centre x, centre y and side, in pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""float32 (N, 3)."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """What is known of a picture: the faces in it, and places where there may be one, float32 (N, 3) each."""

    faces: Boxes
    doubtful: Boxes


def make_no_boxes() -> Boxes:
    """Return float32 (0, 3)."""
    return np.zeros((0, 3), np.float32)


def compute_iou(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Return the intersection over union of each pair: float32 (N, M), 0 to 1."""
    ours, theirs = compute_corners(first)[:, None], compute_corners(second)[None]
    low, high = np.maximum(ours[..., :2], theirs[..., :2]), np.minimum(ours[..., 2:], theirs[..., 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = first[:, 2, None] ** 2 + second[None, :, 2] ** 2
    found: NDArray[np.float32] = shared / np.maximum(areas - shared, 1e-6)
    return found


def compute_visible_shares(squares: Boxes, width: float, height: float) -> NDArray[np.float32]:
    """Return how much of each square lies in a picture: float32 (N,), 0 to 1."""
    corners = compute_corners(squares)
    low = np.maximum(corners[:, :2], 0.0)
    high = np.minimum(corners[:, 2:], np.array([width, height], np.float32))
    shown: NDArray[np.float32] = np.prod(np.maximum(high - low, 0.0), axis=1)
    return np.asarray(shown / np.maximum(squares[:, 2] ** 2, 1e-6), np.float32)


def compute_corners(squares: Boxes) -> NDArray[np.float32]:
    """Return left, top, right and bottom: float32 (N, 4)."""
    half = squares[:, 2:] / 2
    corners: NDArray[np.float32] = np.concatenate([squares[:, :2] - half, squares[:, :2] + half], axis=1)
    return corners
