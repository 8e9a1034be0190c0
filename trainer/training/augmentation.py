"""Augment training pictures as photos vary: frame, angle, mirror, light, colour, blur, JPEG, occlusion."""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.training.jpeg import compress_jpeg
from worker.inference.decode import Pixels

_FLIP_SHARE = 0.5
_MAX_ANGLE = 0.26
"""Radians, 15 degrees either way."""
_ZOOM = (0.75, 1.1)
"""The side of the frame that stays, in sides of the picture."""
_MAX_STRETCH = 0.12
_MIN_SHIFT = 0.05
"""Even where the frame is as large as the picture: in halves of its side."""
_MAX_BRIGHTNESS = 0.15
_CONTRAST = (0.6, 1.4)
_MAX_CURVE = 0.6
"""How far mid-tones are lifted or lowered: x + k·x·(1 - x), a third of the cost of a gamma curve."""
_TINT = (0.85, 1.15)
_GREY_SHARE = 0.25
_ERASE_SHARE = 0.5
_ERASE_SIDE = (0.1, 0.4)
_BLUR_SHARE = 0.25
_DOWNSCALE_SHARE = 0.25
_JPEG_SHARE = 0.25
"""The shares of a batch that are blurred, downscaled and compressed: slices, its order is random already."""
_SLICES = (_BLUR_SHARE, _DOWNSCALE_SHARE, _JPEG_SHARE)
_MAX_BLUR = 0.33
"""Of each neighbour in a blur by three pixels either way: 1/3 is the box."""
_JPEG_QUALITY = (10.0, 80.0)
_UNCOMPRESSED_SHARE = 0.5
"""Of what is downscaled."""
_MIN_SIDE = 24
"""Pixels of a side to which a picture is downscaled, at least: by half, and by half again."""

_NEGATIVE_GRIDS = (1, 2, 5, 12)
"""Random colours on a side of a negative, with smooth transitions between them."""
_NEGATIVE_LOW = (-0.6, 0.9)
_NEGATIVE_HIGH = (-0.5, 1.6)
"""Bounds of a negative's darkest and brightest tone; beyond 0 to 1, so that many are black or white."""

_NEGATIVE_STREAM = 1 << 20
"""Keeps the draws for negatives apart from those of the augmentation."""

_SAMPLE_BATCH = 64


def augment(pixels: Any, seed: Any) -> Any:
    """Augment a batch, uint8 (N, H, W, C), and return uint8 (N, H, W, C).

    `seed` is int32 (2,): the same seed and batch give the same pictures. The order of the pictures in the
    batch has to be random: what is slow happens to slices of it.
    """
    count = tf.shape(pixels)[0]
    draws = _RandomDraws(seed)
    augmented = _apply_random_affine(tf.cast(pixels, tf.float32), count, draws)
    augmented = _jitter_colors(augmented / 255.0, count, draws)
    augmented = _erase_random(augmented, count, draws) * 255.0
    sizes = [tf.cast(share * tf.cast(count, tf.float32), tf.int32) for share in _SLICES]
    to_blur, to_downscale, to_compress, rest = tf.split(augmented, [*sizes, count - tf.add_n(sizes)])
    augmented = tf.concat(
        [
            _blur(to_blur, sizes[0], draws),
            _downscale(to_downscale, sizes[1], draws),
            compress_jpeg(to_compress, draws.draw_uniform(sizes[2], *_JPEG_QUALITY)),
            rest,
        ],
        axis=0,
    )
    # Half is added because a cast cuts off.
    return tf.cast(tf.clip_by_value(augmented + 0.5, 0.0, 255.0), tf.uint8)


def draw_negatives(count: int, shape: tuple[int, int, int], seed: Any) -> Any:
    """Draw pictures that show nothing, uint8 (count, H, W, C): one colour, a gradient, blurs, or noise.

    `seed` is int32 (2,): the same one gives the same pictures.
    """
    height, width, channels = shape
    draws = _RandomDraws(tf.random.fold_in(seed, _NEGATIVE_STREAM))
    kinds = [
        tf.image.resize(draws.draw_uniform(count, 0.0, 255.0, side, side, channels), (height, width))
        for side in _NEGATIVE_GRIDS
    ]
    kinds.append(draws.draw_uniform(count, 0.0, 255.0, height, width, channels))
    kind_indices = tf.cast(draws.draw_uniform(count, 0.0, float(len(kinds))), tf.int32)
    pictures = tf.gather(tf.stack(kinds, axis=1), kind_indices, axis=1, batch_dims=1)
    low = draws.draw_uniform(count, *_NEGATIVE_LOW, 1, 1, 1)
    high = draws.draw_uniform(count, *_NEGATIVE_HIGH, 1, 1, 1)
    toned = 255.0 * low + pictures * tf.maximum(high - low, 0.0)
    return tf.cast(tf.clip_by_value(toned, 0.0, 255.0), tf.uint8)


def draw_samples(pixels: Pixels, count: int, seed: int) -> Pixels:
    """Draw augmented pictures as training sees them, for people to look at.

    `pixels` is uint8 (N, H, W, C), from which pictures are drawn with replacement; returns uint8 (count, H,
    W, C).
    """
    draw = np.random.default_rng(seed)
    # A batch as in training: of a few pictures, the slices that are blurred and compressed would be empty.
    indices = draw.integers(0, len(pixels), max(count, _SAMPLE_BATCH))
    augmented: NDArray[np.uint8] = np.asarray(
        augment(tf.constant(pixels[indices]), tf.constant([seed, 0], tf.int32))
    )
    # Shuffled, because these slices come first.
    return augmented[draw.permutation(len(augmented))[:count]]


class _RandomDraws:
    """Independent random numbers for each picture of a batch, from one seed."""

    def __init__(self, seed: Any) -> None:
        self._seed = seed
        self._number = 0

    def draw_uniform(self, count: Any, low: float, high: float, *shape: int) -> Any:
        """Draw float32 (count, *shape) between the bounds."""
        self._number += 1
        seed = tf.random.fold_in(self._seed, self._number)
        return tf.random.stateless_uniform([count, *shape], seed, low, high)

    def draw_bernoulli(self, count: Any, probability: float, *shape: int) -> Any:
        """Draw float32 (count, *shape) of ones with the probability, else zeros."""
        return tf.cast(self.draw_uniform(count, 0.0, 1.0, *shape) < probability, tf.float32)


def _apply_random_affine(pixels: Any, count: Any, draws: _RandomDraws) -> Any:
    """Zoom, shift, rotate, stretch and mirror by one affine map from each output pixel to its source."""
    height, width = pixels.shape[1], pixels.shape[2]
    zoom = draws.draw_uniform(count, *_ZOOM)
    stretch = draws.draw_uniform(count, -_MAX_STRETCH, _MAX_STRETCH)
    flip = 1.0 - 2.0 * draws.draw_bernoulli(count, _FLIP_SHARE)
    angle = draws.draw_uniform(count, -_MAX_ANGLE, _MAX_ANGLE)
    x_scale, y_scale = zoom * (1.0 + stretch), zoom * (1.0 - stretch)
    a, b = flip * x_scale * tf.cos(angle), -flip * y_scale * tf.sin(angle)
    c, d = x_scale * tf.sin(angle), y_scale * tf.cos(angle)
    max_shift = tf.maximum(1.0 - zoom, _MIN_SHIFT)
    x = width / 2 * (1.0 + max_shift * draws.draw_uniform(count, -1.0, 1.0))
    y = height / 2 * (1.0 + max_shift * draws.draw_uniform(count, -1.0, 1.0))
    transforms = tf.stack(
        [a, b, x - a * width / 2 - b * height / 2, c, d, y - c * width / 2 - d * height / 2, 0 * a, 0 * a],
        axis=1,
    )
    # Keras' own layers resample once each; one map for all five is faster and blurs once. Reflected at the
    # borders, since no photo has black corners.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=transforms,
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )


def _jitter_colors(pixels: Any, count: Any, draws: _RandomDraws) -> Any:
    """Change contrast, tint and brightness by one product and sum a pixel, then bend the mid-tones."""
    channels = pixels.shape[3]
    curve = draws.draw_uniform(count, -_MAX_CURVE, _MAX_CURVE, 1, 1, 1)
    contrast = draws.draw_uniform(count, *_CONTRAST, 1, 1, 1)
    contrast *= draws.draw_uniform(count, *_TINT, 1, 1, channels)
    brightness = draws.draw_uniform(count, -_MAX_BRIGHTNESS, _MAX_BRIGHTNESS, 1, 1, 1)
    if channels == 3:
        to_grey = draws.draw_bernoulli(count, _GREY_SHARE, 1, 1, 1)
        pixels += to_grey * (tf.image.rgb_to_grayscale(pixels) - pixels)
    mean = tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True)
    # Clipped before it is bent: not far beyond 0 to 1 the curve turns back.
    pixels = tf.clip_by_value(pixels * contrast + (mean * (1.0 - contrast) + brightness), 0.0, 1.0)
    return pixels * (1.0 + curve - curve * pixels)


def _erase_random(pixels: Any, count: Any, draws: _RandomDraws) -> Any:
    """Cover a rectangle with one grey (DeVries and Taylor 2017)."""
    rows = _draw_span(pixels.shape[1], count, draws)[:, :, None, None]
    columns = _draw_span(pixels.shape[2], count, draws)[:, None, :, None]
    mask = rows * columns * draws.draw_bernoulli(count, _ERASE_SHARE, 1, 1, 1)
    return pixels + mask * (draws.draw_uniform(count, 0.0, 1.0, 1, 1, 1) - pixels)


def _draw_span(side: int, count: Any, draws: _RandomDraws) -> Any:
    """Draw one stretch of a side for each picture: float32 (count, side), ones inside."""
    middle = draws.draw_uniform(count, 0.0, 1.0, 1)
    half = draws.draw_uniform(count, *_ERASE_SIDE, 1) / 2
    positions = (tf.range(side, dtype=tf.float32)[None, :] + 0.5) / side
    return tf.cast(tf.abs(positions - middle) < half, tf.float32)


def _blur(pixels: Any, count: Any, draws: _RandomDraws) -> Any:
    """Blur along both axes by a kernel of three, each picture with a strength of its own."""
    strength = draws.draw_uniform(count, 0.0, _MAX_BLUR, 1, 1, 1)
    for axis in (1, 2):
        before = tf.roll(pixels, 1, axis)
        after = tf.roll(pixels, -1, axis)
        pixels += strength * (before + after - 2.0 * pixels)
    return pixels


def _downscale(pixels: Any, count: Any, draws: _RandomDraws) -> Any:
    """Shrink, lose what JPEG loses there, and enlarge again, as a thumbnail from a message comes."""
    height, width, channels = pixels.shape[1:]
    max_halvings = max(1, int(math.log2(min(height, width) / _MIN_SIDE)))
    sizes = [
        count * (halvings + 1) // max_halvings - count * halvings // max_halvings
        for halvings in range(max_halvings)
    ]
    enlarged = []
    for halvings, pictures in enumerate(tf.split(pixels, sizes), start=1):
        sides = (max(1, height >> halvings), max(1, width >> halvings))
        # The number of channels is lost with an unknown count.
        small = tf.ensure_shape(tf.image.resize(pictures, sides, "area"), (None, *sides, channels))
        quality = draws.draw_uniform(tf.shape(small)[0], *_JPEG_QUALITY)
        lossless = draws.draw_bernoulli(tf.shape(small)[0], _UNCOMPRESSED_SHARE, 1, 1, 1)
        lossy = compress_jpeg(small, quality)
        enlarged.append(tf.image.resize(lossy + lossless * (small - lossy), (height, width)))
    return tf.concat(enlarged, axis=0)
