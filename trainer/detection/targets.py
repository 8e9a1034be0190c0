"""Make the targets that a detector learns from: what its heatmap should be."""

import numpy as np
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations
from worker.inference.manifest import HEATMAP_STRIDE

TARGET_CHANNELS = 6
"""Of each position: heat, whether the heat counts, whether offsets and size count, and these three."""

_SPREAD = 0.1
_MIN_SPREAD = 0.5
"""Standard deviation of the heat around a centre, in sides of the face, and at least in strides."""

_CORE = 0.15
_MIN_CORE = 0.5
"""How far from a centre positions are responsible for a face: in its sides, and at least in strides."""


def make_targets(annotations: Annotations, side: int) -> NDArray[np.float32]:
    """Make the targets for a square input: float32 (side / 8, side / 8, 6)."""
    rows = side // HEATMAP_STRIDE
    targets = np.zeros((rows, rows, TARGET_CHANNELS), np.float32)
    targets[..., 1] = 1.0
    centres = np.arange(rows, dtype=np.float32) + 0.5
    for x, y, region_side in annotations.ignore_regions / HEATMAP_STRIDE:
        half = region_side / 2
        inside = (np.abs(centres - y)[:, None] < half) & (np.abs(centres - x)[None] < half)
        targets[inside, 1] = 0.0
    # The largest first: where faces overlap, the smaller one is in front and overwrites it.
    for x, y, face_side in sorted(annotations.faces / HEATMAP_STRIDE, key=lambda box: -box[2]):
        _draw_face(targets, x, y, face_side)
    return targets


def _draw_face(targets: NDArray[np.float32], x: np.float32, y: np.float32, side: np.float32) -> None:
    """Draw a face by its centre and side, in strides, into the targets."""
    rows = len(targets)
    centres = np.arange(rows, dtype=np.float32) + 0.5
    dx, dy = centres - x, centres - y
    spread = np.maximum(_MIN_SPREAD, _SPREAD * side)
    heat = np.exp(-(dy[:, None] ** 2 + dx[None] ** 2) / (2 * spread**2))
    # The loss takes exactly 1 for a centre, and no position need lie on it.
    heat[min(int(y), rows - 1), min(int(x), rows - 1)] = 1.0
    targets[..., 0] = np.maximum(targets[..., 0], heat)
    core = np.maximum(_MIN_CORE, _CORE * side)
    is_responsible = (np.abs(dy)[:, None] <= core) & (np.abs(dx)[None] <= core)
    targets[is_responsible, 1:3] = 1.0
    row, column = np.nonzero(is_responsible)
    targets[row, column, 3] = -dx[column]
    targets[row, column, 4] = -dy[row]
    targets[row, column, 5] = np.log(side)
