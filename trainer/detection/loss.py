"""The loss that a detector minimises: how far its heatmap is from the targets."""

from typing import Any

import tensorflow as tf

_NEAR_CENTRE_POWER = 4.0
"""By which positions near a centre are forgiven for some heat (Law and Deng 2018, "CornerNet")."""

_FOCAL_POWER = 2.0

_BOX_WEIGHT = 2.0
"""Of offsets and size beside the heat."""

_L1_WEIGHT = 0.5
"""Of the distances of offset and size beside the IoU."""

_MAX_LOG_SIDE = 8.0


def compute_detection_loss(predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Return the loss of a batch, and the mean IoU of its boxes with the targets', 0 to 1.

    `predictions` is float32 (B, H, W, 4), `targets` float32 (B, H, W, 6) as `make_targets` describes them.
    Focal loss on the heat (Lin et al. 2017, in the form of Zhou et al. 2019), and at positions that are
    responsible for a face one minus the IoU (Yu et al. 2016, "UnitBox"), with the distance of offset and log
    side, which has a gradient even where nothing overlaps.
    """
    heat, is_counted, is_responsible = targets[..., 0], targets[..., 1], targets[..., 2]
    is_centre = tf.cast(heat >= 1.0, tf.float32)
    centres = tf.maximum(tf.reduce_sum(is_centre), 1.0)
    heat_loss = (
        tf.reduce_sum(is_counted * _compute_focal_loss(predictions[..., 0], heat, is_centre)) / centres
    )
    iou = _compute_iou(predictions[..., 1:], targets[..., 3:])
    distances = tf.abs(predictions[..., 1:] - targets[..., 3:])
    target_sides = tf.maximum(tf.exp(targets[..., 5]), 1.0)
    distance = (distances[..., 0] + distances[..., 1]) / target_sides + distances[..., 2]
    responsible = tf.maximum(tf.reduce_sum(is_responsible), 1.0)
    box_loss = tf.reduce_sum(is_responsible * (1.0 - iou + _L1_WEIGHT * distance)) / responsible
    return heat_loss + _BOX_WEIGHT * box_loss, tf.reduce_sum(is_responsible * iou) / responsible


def _compute_focal_loss(logits: Any, heat: Any, is_centre: Any) -> Any:
    probability = tf.sigmoid(logits)
    at_centre = is_centre * (1.0 - probability) ** _FOCAL_POWER * tf.nn.softplus(-logits)
    elsewhere = (
        (1.0 - is_centre)
        * (1.0 - heat) ** _NEAR_CENTRE_POWER
        * probability**_FOCAL_POWER
        * tf.nn.softplus(logits)
    )
    return at_centre + elsewhere


def _compute_iou(boxes: Any, target_boxes: Any) -> Any:
    """Return the IoU of squares given by offset and log side in strides, float32 (…, 3) each."""
    # Clipped, so that the area of no prediction, however wrong, overflows float32.
    side, target_side = tf.exp(tf.minimum(boxes[..., 2:], _MAX_LOG_SIDE)), tf.exp(target_boxes[..., 2:])
    low = tf.maximum(boxes[..., :2] - side / 2, target_boxes[..., :2] - target_side / 2)
    high = tf.minimum(boxes[..., :2] + side / 2, target_boxes[..., :2] + target_side / 2)
    intersection = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    return intersection / (side[..., 0] ** 2 + target_side[..., 0] ** 2 - intersection + 1e-6)
