"""Read faces off a finder's map, and cut them from the picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.bundle import FINDER_CELL, Faces, InputSpec
from worker.imaging import Pixels, placed

_LARGEST_OVERLAP = 0.4
"""Intersection over union above which two squares show one face."""

_LEAST_PIXELS = 2

_LARGEST_LOG_SIDE = 10.0
"""exp(10) cells are larger than any picture, and still no infinity."""


@dataclass(frozen=True, slots=True)
class Box:
    """A face in pixels of the picture that was looked at, right and bottom not included.

    Boxes are squares but for what lies outside of the picture. `score` is the finder's, 0 to 1.
    """

    left: int
    top: int
    right: int
    bottom: int
    score: float

    @property
    def side(self) -> int:
        """The longer side, which is the square's unless a corner of the picture cuts it."""
        return max(self.right - self.left, self.bottom - self.top)


def found(
    answer: NDArray[np.float32], faces: Faces, spec: InputSpec, width: int, height: int
) -> tuple[Box, ...]:
    """Return the faces that a finder's map shows in a picture of width × height pixels, the largest first.

    `answer` is float32 (rows, columns, 4) as `Stage` says, `spec` the finder's input. A face is a cell that
    is surer than its eight neighbours; of two that overlap the surer one is taken.
    """
    squares = _squares(answer, faces.least_score)
    kept = squares[_apart(squares)]
    place = placed(width, height, spec)
    to_picture = np.array([width / place.width, height / place.height] * 2)
    corners = (kept[:, :4] - np.array([place.left, place.top] * 2)) * to_picture
    whole = np.clip(corners.round(), 0, [width, height, width, height]).astype(int).tolist()
    boxes = [
        Box(left, top, right, bottom, score)
        for (left, top, right, bottom), score in zip(whole, kept[:, 4].tolist(), strict=True)
    ]
    visible = [box for box in boxes if min(box.right - box.left, box.bottom - box.top) >= _LEAST_PIXELS]
    return tuple(sorted(visible, key=lambda box: -box.side)[: faces.most])


def cut(pixels: Pixels, box: Box) -> Pixels:
    """Return the pixels of a face, uint8 (h, w, 3), of the picture's, uint8 (H, W, 3)."""
    return pixels[box.top : box.bottom, box.left : box.right]


def _squares(answer: NDArray[np.float32], least_score: float) -> NDArray[np.float64]:
    """Return the faces as float64 (N, 5), left, top, right, bottom in input pixels and score, best first."""
    answer = answer.astype(np.float64)
    logits = np.where(np.isfinite(answer).all(axis=2), answer[..., 0], -np.inf)
    scores = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    rows, columns = np.nonzero(_peaks(logits) & (scores >= least_score))
    best = np.argsort(-logits[rows, columns], kind="stable")
    rows, columns = rows[best], columns[best]
    _, across, down, log_side = answer[rows, columns].T
    middle = np.stack([columns + 0.5 + across, rows + 0.5 + down], axis=1)
    half = np.exp(np.minimum(log_side, _LARGEST_LOG_SIDE))[:, np.newaxis] / 2
    corners = FINDER_CELL * np.concatenate([middle - half, middle + half], axis=1)
    return np.column_stack([corners, scores[rows, columns]])


def _peaks(logits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which cells are surer than their eight neighbours; of equals the first in reading order."""
    rows, columns = logits.shape
    framed = np.pad(logits, 1, constant_values=-np.inf)
    peaks = logits > -np.inf
    for down in range(3):
        for across in range(3):
            other = framed[down : down + rows, across : across + columns]
            if (down, across) < (1, 1):
                peaks &= logits > other
            elif (down, across) > (1, 1):
                peaks &= logits >= other
    return peaks


def _apart(squares: NDArray[np.float64]) -> list[int]:
    """Return the positions of squares, best first, that do not overlap with a better one."""
    left, top, right, bottom = squares[:, :4].T
    areas = (right - left) * (bottom - top)
    is_left = np.ones(len(squares), bool)
    kept = []
    for best in range(len(squares)):
        if not is_left[best]:
            continue
        kept.append(best)
        across = np.minimum(right, right[best]) - np.maximum(left, left[best])
        down = np.minimum(bottom, bottom[best]) - np.maximum(top, top[best])
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        is_left &= shared <= _LARGEST_OVERLAP * (areas + areas[best] - shared)
    return kept
