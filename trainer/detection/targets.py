"""Say what a finder's map should have been."""

import numpy as np
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations
from worker.inference.bundle import HEATMAP_STRIDE

TARGETS = 6
"""For each cell: heat, whether the heat counts, whether place and side count, and what these three are."""

_SPREAD = 0.1
_LEAST_SPREAD = 0.5
"""Standard deviation of the heat around a centre, in sides of the face, and at least in cells."""

_HEART = 0.15
_LEAST_HEART = 0.5
"""How far from a centre a cell still answers for the face: in sides of the face, and at least in cells."""


def make_targets(marks: Annotations, side: int) -> NDArray[np.float32]:
    """Draw what the map should be for a square input: float32 (side / 8, side / 8, 6)."""
    cells = side // HEATMAP_STRIDE
    drawn = np.zeros((cells, cells, TARGETS), np.float32)
    drawn[..., 1] = 1.0
    at = np.arange(cells, dtype=np.float32) + 0.5
    for x, y, long in marks.doubtful / HEATMAP_STRIDE:
        inside = (np.abs(at - y)[:, None] < long / 2) & (np.abs(at - x)[None] < long / 2)
        drawn[inside, 1] = 0.0
    # The largest first: where faces overlap, the smaller one in front is told.
    for x, y, long in sorted(marks.faces / HEATMAP_STRIDE, key=lambda square: -square[2]):
        across, down = at - x, at - y
        distances = down[:, None] ** 2 + across[None] ** 2
        spread = max(_LEAST_SPREAD, _SPREAD * long)
        heat = np.exp(-distances / (2 * spread**2))
        heat[min(int(y), cells - 1), min(int(x), cells - 1)] = 1.0
        drawn[..., 0] = np.maximum(drawn[..., 0], heat)
        heart = max(_LEAST_HEART, _HEART * long)
        own = (np.abs(down)[:, None] <= heart) & (np.abs(across)[None] <= heart)
        drawn[own, 1:3] = 1.0
        rows, columns = np.nonzero(own)
        drawn[rows, columns, 3] = -across[columns]
        drawn[rows, columns, 4] = -down[rows]
        drawn[rows, columns, 5] = np.log(long)
    return drawn
