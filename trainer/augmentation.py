"""Vary training pictures at random: frame, angle, mirror, light, colour and covered patches."""

from typing import Any

import tensorflow as tf

_MIRRORED = 0.5
_MAX_TURN = 0.26
"""Radians, 15 degrees either way."""
_ZOOM = (0.75, 1.1)
"""The side of the frame that is kept, in sides of the picture."""
_STRETCH = 0.12
_MAX_BRIGHTNESS = 0.15
_CONTRAST = (0.6, 1.4)
_MAX_CURVE = 0.6
"""How far mid-tones are lifted or lowered: x + k·x·(1 - x), a third of the cost of a gamma curve."""
_TINT = (0.85, 1.15)
_GREYED = 0.25
_COVERED = 0.5
_COVER_SIDE = (0.1, 0.4)


def vary(pixels: Any, seed: Any) -> Any:
    """Vary a batch, uint8 (N, H, W, C), and return float32 (N, H, W, C), 0–255.

    `seed` is int32 (2,): the same seed and batch give the same pictures.
    """
    draws = _Draws(tf.shape(pixels)[0], seed)
    varied = tf.cast(pixels, tf.float32) / 255.0
    varied = _reframed(varied, draws)
    varied = _relit(varied, draws)
    return _covered(varied, draws) * 255.0


class _Draws:
    """Independent random numbers for each picture of a batch, from one seed."""

    def __init__(self, count: Any, seed: Any) -> None:
        self._count = count
        self._seed = seed
        self._number = 0

    def uniform(self, low: float, high: float, *shape: int) -> Any:
        """Draw float32 (N, *shape) between the bounds."""
        self._number += 1
        seed = tf.random.fold_in(self._seed, self._number)
        return tf.random.stateless_uniform([self._count, *shape], seed, low, high)

    def chance(self, probability: float, *shape: int) -> Any:
        """Draw float32 (N, *shape) of ones with the probability, else zeros."""
        return tf.cast(self.uniform(0.0, 1.0, *shape) < probability, tf.float32)


def _reframed(pixels: Any, draws: _Draws) -> Any:
    """Zoom, shift, turn, stretch and mirror by one affine map from each output pixel to its source."""
    height, width = pixels.shape[1], pixels.shape[2]
    zoom = draws.uniform(*_ZOOM)
    stretch = draws.uniform(-_STRETCH, _STRETCH)
    mirror = 1.0 - 2.0 * draws.chance(_MIRRORED)
    angle = draws.uniform(-_MAX_TURN, _MAX_TURN)
    across, down = zoom * (1.0 + stretch), zoom * (1.0 - stretch)
    a, b = mirror * across * tf.cos(angle), -mirror * down * tf.sin(angle)
    c, d = across * tf.sin(angle), down * tf.cos(angle)
    margin = tf.maximum(1.0 - zoom, 0.05)
    x = width / 2 * (1.0 + margin * draws.uniform(-1.0, 1.0))
    y = height / 2 * (1.0 + margin * draws.uniform(-1.0, 1.0))
    transforms = tf.stack(
        [a, b, x - a * width / 2 - b * height / 2, c, d, y - c * width / 2 - d * height / 2, 0 * a, 0 * a],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=transforms,
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )


def _relit(pixels: Any, draws: _Draws) -> Any:
    channels = pixels.shape[3]
    if channels == 3:
        greyed = draws.chance(_GREYED, 1, 1, 1)
        pixels += greyed * (tf.image.rgb_to_grayscale(pixels) - pixels)
    curve = draws.uniform(-_MAX_CURVE, _MAX_CURVE, 1, 1, 1)
    contrast = draws.uniform(*_CONTRAST, 1, 1, 1) * draws.uniform(*_TINT, 1, 1, channels)
    brightness = draws.uniform(-_MAX_BRIGHTNESS, _MAX_BRIGHTNESS, 1, 1, 1)
    mean = tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True)
    lit = tf.clip_by_value((pixels - mean) * contrast + mean + brightness, 0.0, 1.0)
    return lit + curve * lit * (1.0 - lit)


def _covered(pixels: Any, draws: _Draws) -> Any:
    """Cover a rectangle with one grey (DeVries and Taylor 2017)."""
    rows = _inside(pixels.shape[1], draws)[:, :, None, None]
    columns = _inside(pixels.shape[2], draws)[:, None, :, None]
    cover = rows * columns * draws.chance(_COVERED, 1, 1, 1)
    return pixels + cover * (draws.uniform(0.0, 1.0, 1, 1, 1) - pixels)


def _inside(side: int, draws: _Draws) -> Any:
    middle = draws.uniform(0.0, 1.0, 1)
    half = draws.uniform(*_COVER_SIDE, 1) / 2
    places = (tf.range(side, dtype=tf.float32)[None, :] + 0.5) / side
    return tf.cast(tf.abs(places - middle) < half, tf.float32)
