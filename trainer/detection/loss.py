"""Say how far a finder's map is from what it should have been."""

from typing import Any

import tensorflow as tf

_NEAR_MISS = 4.0
"""The power by which cells near a centre are forgiven for some heat (Law and Deng 2018, "CornerNet")."""

_SIZE_SHARE = 2.0
"""What place and side weigh beside the heat."""


def compute_detection_loss(answers: Any, wanted: Any) -> tuple[Any, Any]:
    """Return the loss of a batch, and how much its squares overlap the true ones, 0 to 1.

    `run_all` float32 (B, H, W, 4), `wanted` float32 (B, H, W, 6). Focal loss on the heat (Lin et al. 2017, in
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
    overlap = _compute_iou(answers[..., 1:], wanted[..., 3:])
    away = tf.abs(answers[..., 1:] - wanted[..., 3:])
    sides = tf.exp(wanted[..., 5])
    distance = (away[..., 0] + away[..., 1]) / tf.maximum(sides, 1.0) + away[..., 2]
    owned = tf.maximum(tf.reduce_sum(own), 1.0)
    size_loss = tf.reduce_sum(own * (1.0 - overlap + 0.5 * distance)) / owned
    return heat_loss + _SIZE_SHARE * size_loss, tf.reduce_sum(own * overlap) / owned


def _compute_iou(found: Any, wanted: Any) -> Any:
    """Intersection over union of squares told by offset and log side, float32 (…, 3) each."""
    side, true_side = tf.exp(tf.minimum(found[..., 2:], 8.0)), tf.exp(wanted[..., 2:])
    low = tf.maximum(found[..., :2] - side / 2, wanted[..., :2] - true_side / 2)
    high = tf.minimum(found[..., :2] + side / 2, wanted[..., :2] + true_side / 2)
    shared = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    return shared / (side[..., 0] ** 2 + true_side[..., 0] ** 2 - shared + 1e-6)
