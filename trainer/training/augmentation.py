"""Vary training pictures as photos vary: frame, angle, mirror, light, colour, blur, JPEG, covered patches."""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.training.jpeg import compress_jpeg
from worker.inference.decode import Pixels

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
_SOFTENED = 0.25
_COARSENED = 0.25
_COMPRESSED = 0.25
"""The shares of a batch that are blurred, shrunk and compressed: slices, its order is random already."""
_SLICES = (_SOFTENED, _COARSENED, _COMPRESSED)
_MAX_SOFTNESS = 0.33
"""Of each neighbour in a blur by three pixels either way: 1/3 is the box."""
_JPEG_QUALITY = (10.0, 80.0)
_UNCOMPRESSED = 0.5
"""Of what is shrunk."""
_COARSEST_SIDE = 24
"""Pixels of a side to which a picture is shrunk, at least: by half, and by half again."""

_GRAINS = (1, 2, 5, 12)
"""Of pictures of nothing: so many random colours on a side, and smooth between."""

_NEGATIVES = 1 << 20
"""Keeps their draws apart from those of the variations."""

_SHOWN_BATCH = 64


def augment(pixels: Any, seed: Any) -> Any:
    """Vary a batch, uint8 (N, H, W, C), and return uint8 (N, H, W, C).

    `seed` is int32 (2,): the same seed and batch give the same pictures. The order of the pictures in the
    batch has to be random: what is slow happens to slices of it.
    """
    count = tf.shape(pixels)[0]
    draws = _Draws(seed)
    varied = _apply_random_affine(tf.cast(pixels, tf.float32), count, draws)
    varied = _jitter_colors(varied / 255.0, count, draws)
    varied = _erase_random(varied, count, draws) * 255.0
    sizes = [tf.cast(share * tf.cast(count, tf.float32), tf.int32) for share in _SLICES]
    softened, coarsened, compact, plain = tf.split(varied, [*sizes, count - tf.add_n(sizes)])
    varied = tf.concat(
        [
            _blur(softened, sizes[0], draws),
            _downscale(coarsened, sizes[1], draws),
            compress_jpeg(compact, draws.uniform(sizes[2], *_JPEG_QUALITY)),
            plain,
        ],
        axis=0,
    )
    return tf.cast(tf.clip_by_value(varied + 0.5, 0.0, 255.0), tf.uint8)


def draw_negatives(count: int, shape: tuple[int, int, int], seed: Any) -> Any:
    """Draw pictures of nothing, uint8 (count, H, W, C): one colour, a gradient, blurs, or noise.

    `seed` is int32 (2,): the same one gives the same pictures.
    """
    height, width, channels = shape
    draws = _Draws(tf.random.fold_in(seed, _NEGATIVES))
    kinds = [
        tf.image.resize(draws.uniform(count, 0.0, 255.0, grain, grain, channels), (height, width))
        for grain in _GRAINS
    ]
    kinds.append(draws.uniform(count, 0.0, 255.0, height, width, channels))
    chosen = tf.cast(draws.uniform(count, 0.0, float(len(kinds))), tf.int32)
    picked = tf.gather(tf.stack(kinds, axis=1), chosen, axis=1, batch_dims=1)
    # Many in the dark and in the bright: lens caps and scanner lids.
    low, high = draws.uniform(count, -0.6, 0.9, 1, 1, 1), draws.uniform(count, -0.5, 1.6, 1, 1, 1)
    shaded = 255.0 * low + picked * tf.maximum(high - low, 0.0)
    return tf.cast(tf.clip_by_value(shaded, 0.0, 255.0), tf.uint8)


def draw_samples(pixels: Pixels, count: int, seed: int) -> Pixels:
    """Return varied pictures as training sees them, for people to look at.

    `pixels` is uint8 (N, H, W, C), from which pictures are drawn again and again; the answer is uint8
    (count, H, W, C).
    """
    draw = np.random.default_rng(seed)
    chosen = draw.integers(0, len(pixels), max(count, _SHOWN_BATCH))
    varied: NDArray[np.uint8] = np.asarray(
        augment(tf.constant(pixels[chosen]), tf.constant([seed, 0], tf.int32))
    )
    return varied[draw.permutation(len(varied))[:count]]


class _Draws:
    """Independent random numbers for each picture of a batch, from one seed."""

    def __init__(self, seed: Any) -> None:
        self._seed = seed
        self._number = 0

    def uniform(self, count: Any, low: float, high: float, *shape: int) -> Any:
        """Draw float32 (count, *shape) between the bounds."""
        self._number += 1
        seed = tf.random.fold_in(self._seed, self._number)
        return tf.random.stateless_uniform([count, *shape], seed, low, high)

    def chance(self, count: Any, probability: float, *shape: int) -> Any:
        """Draw float32 (count, *shape) of ones with the probability, else zeros."""
        return tf.cast(self.uniform(count, 0.0, 1.0, *shape) < probability, tf.float32)


def _apply_random_affine(pixels: Any, count: Any, draws: _Draws) -> Any:
    """Zoom, shift, turn, stretch and mirror by one affine map from each output pixel to its source."""
    height, width = pixels.shape[1], pixels.shape[2]
    zoom = draws.uniform(count, *_ZOOM)
    stretch = draws.uniform(count, -_STRETCH, _STRETCH)
    mirror = 1.0 - 2.0 * draws.chance(count, _MIRRORED)
    angle = draws.uniform(count, -_MAX_TURN, _MAX_TURN)
    across, down = zoom * (1.0 + stretch), zoom * (1.0 - stretch)
    a, b = mirror * across * tf.cos(angle), -mirror * down * tf.sin(angle)
    c, d = across * tf.sin(angle), down * tf.cos(angle)
    margin = tf.maximum(1.0 - zoom, 0.05)
    x = width / 2 * (1.0 + margin * draws.uniform(count, -1.0, 1.0))
    y = height / 2 * (1.0 + margin * draws.uniform(count, -1.0, 1.0))
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


def _jitter_colors(pixels: Any, count: Any, draws: _Draws) -> Any:
    """Change contrast, tint and brightness by one product and sum a pixel, then bend the mid-tones."""
    channels = pixels.shape[3]
    curve = draws.uniform(count, -_MAX_CURVE, _MAX_CURVE, 1, 1, 1)
    contrast = draws.uniform(count, *_CONTRAST, 1, 1, 1) * draws.uniform(count, *_TINT, 1, 1, channels)
    brightness = draws.uniform(count, -_MAX_BRIGHTNESS, _MAX_BRIGHTNESS, 1, 1, 1)
    if channels == 3:
        greyed = draws.chance(count, _GREYED, 1, 1, 1)
        pixels += greyed * (tf.image.rgb_to_grayscale(pixels) - pixels)
    mean = tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True)
    lit = tf.clip_by_value(pixels * contrast + (mean * (1.0 - contrast) + brightness), 0.0, 1.0)
    return lit * (1.0 + curve - curve * lit)


def _erase_random(pixels: Any, count: Any, draws: _Draws) -> Any:
    """Cover a rectangle with one grey (DeVries and Taylor 2017)."""
    rows = _draw_mask(pixels.shape[1], count, draws)[:, :, None, None]
    columns = _draw_mask(pixels.shape[2], count, draws)[:, None, :, None]
    cover = rows * columns * draws.chance(count, _COVERED, 1, 1, 1)
    return pixels + cover * (draws.uniform(count, 0.0, 1.0, 1, 1, 1) - pixels)


def _draw_mask(side: int, count: Any, draws: _Draws) -> Any:
    middle = draws.uniform(count, 0.0, 1.0, 1)
    half = draws.uniform(count, *_COVER_SIDE, 1) / 2
    places = (tf.range(side, dtype=tf.float32)[None, :] + 0.5) / side
    return tf.cast(tf.abs(places - middle) < half, tf.float32)


def _blur(pixels: Any, count: Any, draws: _Draws) -> Any:
    """Blur along both axes by a kernel of three, of a strength of each picture's own."""
    strength = draws.uniform(count, 0.0, _MAX_SOFTNESS, 1, 1, 1)
    for axis in (1, 2):
        before = tf.roll(pixels, 1, axis)
        after = tf.roll(pixels, -1, axis)
        pixels += strength * (before + after - 2.0 * pixels)
    return pixels


def _downscale(pixels: Any, count: Any, draws: _Draws) -> Any:
    """Shrink, lose what JPEG loses there, and enlarge again, as a thumbnail from a message comes."""
    height, width, channels = pixels.shape[1:]
    most = max(1, int(math.log2(min(height, width) / _COARSEST_SIDE)))
    shared = [count * (halvings + 1) // most - count * halvings // most for halvings in range(most)]
    enlarged = []
    for halvings, slice_ in enumerate(tf.split(pixels, shared), start=1):
        # The channels' number is lost with an unknown count.
        sides = (max(1, height >> halvings), max(1, width >> halvings))
        small = tf.ensure_shape(tf.image.resize(slice_, sides, "area"), (None, *sides, channels))
        quality = draws.uniform(tf.shape(small)[0], *_JPEG_QUALITY)
        kept = draws.chance(tf.shape(small)[0], _UNCOMPRESSED, 1, 1, 1)
        lossy = compress_jpeg(small, quality)
        enlarged.append(tf.image.resize(lossy + kept * (small - lossy), (height, width)))
    return tf.concat(enlarged, axis=0)
