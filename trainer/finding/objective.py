"""Say what a finder's map should have been, and how far it is from that."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.finding.network import STRIDE
from trainer.finding.squares import Marks

TARGETS = 6
"""For each cell: heat, whether the heat counts, whether place and side count, and what these three are."""

_SPREAD = 0.1
_LEAST_SPREAD = 0.5
"""Standard deviation of the heat around a centre, in sides of the face, and at least in cells."""

_HEART = 0.15
_LEAST_HEART = 0.5
"""How far from a centre a cell still answers for the face: in sides of the face, and at least in cells."""

_NEAR_MISS = 4.0
"""The power by which cells near a centre are forgiven for some heat (Law and Deng 2018, "CornerNet")."""

_SIZE_SHARE = 2.0
"""What place and side weigh beside the heat."""


def targets(marks: Marks, side: int) -> NDArray[np.float32]:
    """Draw what the map should be for a square input: float32 (side / 8, side / 8, 6)."""
    cells = side // STRIDE
    drawn = np.zeros((cells, cells, TARGETS), np.float32)
    drawn[..., 1] = 1.0
    at = np.arange(cells, dtype=np.float32) + 0.5
    for x, y, long in marks.doubtful / STRIDE:
        inside = (np.abs(at - y)[:, None] < long / 2) & (np.abs(at - x)[None] < long / 2)
        drawn[inside, 1] = 0.0
    # The largest first: where faces overlap, the smaller one in front is told.
    for x, y, long in sorted(marks.faces / STRIDE, key=lambda square: -square[2]):
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


def finding_objective(answers: Any, wanted: Any) -> tuple[Any, Any]:
    """Return the loss of a batch, and how much its squares overlap the true ones, 0 to 1.

    `answers` float32 (B, H, W, 4), `wanted` float32 (B, H, W, 6). Focal loss on the heat (Lin et al. 2017, in
    the form of Zhou et al. 2019), and for cells that answer for a face one minus the overlap (Yu et al. 2016,
    "UnitBox"), with the distance of offset and log side, which pulls even where nothing overlaps.
    """
    heat, counts, own = wanted[..., 0], wanted[..., 1], wanted[..., 2]
    logits = answers[..., 0]
    chance = tf.sigmoid(logits)
    is_centre = tf.cast(heat >= 1.0, tf.float32)
    hit = is_centre * (1.0 - chance) ** 2 * tf.nn.softplus(-logits)
    alarm = (1.0 - is_centre) * (1.0 - heat) ** _NEAR_MISS * chance**2 * tf.nn.softplus(logits)
    centres = tf.maximum(tf.reduce_sum(is_centre), 1.0)
    heat_loss = tf.reduce_sum(counts * (hit + alarm)) / centres
    overlap = _overlap(answers[..., 1:], wanted[..., 3:])
    away = tf.abs(answers[..., 1:] - wanted[..., 3:])
    sides = tf.exp(wanted[..., 5])
    distance = (away[..., 0] + away[..., 1]) / tf.maximum(sides, 1.0) + away[..., 2]
    owned = tf.maximum(tf.reduce_sum(own), 1.0)
    size_loss = tf.reduce_sum(own * (1.0 - overlap + 0.5 * distance)) / owned
    return heat_loss + _SIZE_SHARE * size_loss, tf.reduce_sum(own * overlap) / owned


def _overlap(found: Any, wanted: Any) -> Any:
    """Intersection over union of squares told by offset and log side, float32 (…, 3) each."""
    side, true_side = tf.exp(tf.minimum(found[..., 2:], 8.0)), tf.exp(wanted[..., 2:])
    low = tf.maximum(found[..., :2] - side / 2, wanted[..., :2] - true_side / 2)
    high = tf.minimum(found[..., :2] + side / 2, wanted[..., :2] + true_side / 2)
    shared = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    return shared / (side[..., 0] ** 2 + true_side[..., 0] ** 2 - shared + 1e-6)
