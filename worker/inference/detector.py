"""Read faces off a finder's map, and cut them from the picture."""

import math
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.inference.bundle import FINDER_CELL, Faces, InputSpec
from worker.inference.decode import Pixels
from worker.inference.preprocess import placed

_LARGEST_OVERLAP = 0.4
"""Intersection over union above which two squares show one face."""

_LEAST_PIXELS = 2

_LARGEST_LOG_SIDE = 10.0
"""exp(10) cells are larger than any picture, and still no infinity."""

_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Steps down and across to a cell's neighbours."""

_Place = tuple[int, int]
"""The row and the column of a cell."""

_Rank = tuple[float, int, int]
"""How sure a cell is, and its place: of equally sure ones the first in reading order has the highest."""


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


class _Square(NamedTuple):
    """A face in pixels of the finder's input."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


def found(
    answer: NDArray[np.float32], faces: Faces, spec: InputSpec, width: int, height: int
) -> tuple[Box, ...]:
    """Return the faces that a finder's map shows in a picture of width × height pixels, the largest first.

    `answer` is float32 (rows, columns, 4) as `Stage` says, `spec` the finder's input. A face is a cell that
    is surer than its eight neighbours; of two that overlap the surer one is taken.
    """
    place = placed(width, height, spec)
    across, down = width / place.width, height / place.height
    boxes = [
        Box(
            _pixel((square.left - place.left) * across, width),
            _pixel((square.top - place.top) * down, height),
            _pixel((square.right - place.left) * across, width),
            _pixel((square.bottom - place.top) * down, height),
            square.score,
        )
        for square in _apart(_squares(answer, faces.least_score))
    ]
    visible = [box for box in boxes if min(box.right - box.left, box.bottom - box.top) >= _LEAST_PIXELS]
    return tuple(sorted(visible, key=lambda box: -box.side)[: faces.most])


def _pixel(position: float, end: int) -> int:
    return min(max(round(position), 0), end)


def cut(pixels: Pixels, box: Box) -> Pixels:
    """Return the pixels of a face, uint8 (h, w, 3), of the picture's, uint8 (H, W, 3)."""
    return pixels[box.top : box.bottom, box.left : box.right]


def _squares(answer: NDArray[np.float32], least_score: float) -> list[_Square]:
    """Return the faces of a map, the surest first.

    Few cells are sure. What is left to do for them takes NumPy, call by call, twice as long.
    """
    sure = np.nonzero(answer[..., 0] >= _logit(least_score))
    places = zip(*(index.tolist() for index in sure), strict=True)
    cells = {
        place: values
        for place, values in zip(places, answer[sure].tolist(), strict=True)
        if all(map(math.isfinite, values))
    }
    ranks = {(row, column): (values[0], -row, -column) for (row, column), values in cells.items()}
    peaks = sorted((place for place in ranks if _is_peak(place, ranks)), key=ranks.__getitem__, reverse=True)
    return [_square(place, *cells[place]) for place in peaks]


def _is_peak(place: _Place, ranks: dict[_Place, _Rank]) -> bool:
    """Tell whether a cell is surer than its eight neighbours, of equals the first in reading order."""
    row, column = place
    rank = ranks[place]
    return all(ranks.get((row + down, column + across), rank) <= rank for down, across in _AROUND)


def _square(place: _Place, logit: float, across: float, down: float, log_side: float) -> _Square:
    row, column = place
    x, y = FINDER_CELL * (column + 0.5 + across), FINDER_CELL * (row + 0.5 + down)
    half = FINDER_CELL * math.exp(min(log_side, _LARGEST_LOG_SIDE)) / 2
    return _Square(x - half, y - half, x + half, y + half, 1 / (1 + math.exp(-logit)))


def _apart(squares: list[_Square]) -> list[_Square]:
    """Return those of squares, the surest first, that do not overlap with a surer one."""
    kept: list[_Square] = []
    for square in squares:
        if not any(_overlap(square, other) for other in kept):
            kept.append(square)
    return kept


def _overlap(one: _Square, other: _Square) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    if across <= 0 or down <= 0:
        return False
    shared = across * down
    return shared > _LARGEST_OVERLAP * (one.area + other.area - shared)


def _logit(score: float) -> float:
    """Return the logit of a score, finite even for 0 and 1."""
    score = min(max(score, sys.float_info.min), 1 - sys.float_info.epsilon / 2)
    return math.log(score / (1 - score))
