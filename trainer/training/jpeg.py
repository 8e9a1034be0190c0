"""Lose what JPEG loses, for a whole batch at once: blocks of 8 × 8 through the DCT, rounded, and back."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_BLOCK = 8

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""The quantisation of ITU-T T.81, table K.1."""

_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
"""The quantisation of ITU-T T.81, table K.2."""

_TO_YCC = ((0.299, -0.168736, 0.5), (0.587, -0.331264, -0.418688), (0.114, 0.5, -0.081312))
"""From RGB, in columns (JFIF 1.02); the offset of 128 is left out: it would only be subtracted again."""


def compress_jpeg(pixels: Any, quality: Any) -> Any:
    """Return pictures with the losses of JPEG, float32 (N, H, W, 1 or 3), about 0–255.

    `pixels` is float32 of that shape, `quality` float32 (N,), 1–100 on the scale of libjpeg. Colour is not
    subsampled, and values may leave 0–255 by a little.
    """
    height, width, channels = pixels.shape[1:]
    colour = channels == 3
    planes = tf.tensordot(pixels, tf.constant(_TO_YCC), 1) if colour else pixels
    bottom, right = -height % _BLOCK, -width % _BLOCK
    if bottom or right:
        planes = tf.pad(planes, [[0, 0], [0, bottom], [0, right], [0, 0]], "SYMMETRIC")
    tables = [_LUMINANCE, _CHROMINANCE, _CHROMINANCE] if colour else [_LUMINANCE]
    step = _scale_tables(np.stack([np.ravel(table) for table in tables], 1), quality)
    blocks = _split_blocks(planes)
    coefficients = tf.einsum("ij,njbc->nibc", tf.constant(_DCT), blocks)
    quantised = tf.round(coefficients / step) * step
    planes = _join_blocks(tf.einsum("ij,nibc->njbc", tf.constant(_DCT), quantised), planes)
    planes = planes[:, :height, :width]
    return tf.tensordot(planes, tf.constant(_FROM_YCC), 1) if colour else planes


def _scale_tables(tables: NDArray[np.int64], quality: Any) -> Any:
    """Scale tables, (64, C), as libjpeg does: float32 (N, 64, 1, C), each step 1–255."""
    percent = tf.where(quality < 50.0, 5000.0 / quality, 200.0 - 2.0 * quality)
    scaled = tf.constant(tables, tf.float32)[None, :, None, :] * percent[:, None, None, None] / 100.0
    return tf.clip_by_value(scaled, 1.0, 255.0)


def _split_blocks(planes: Any) -> Any:
    """Split float32 (N, H, W, C) into (N, 64, blocks, C)."""
    _, height, width, channels = planes.shape
    blocks = tf.reshape(planes, [-1, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, channels])
    blocks = tf.transpose(blocks, [0, 2, 4, 1, 3, 5])
    return tf.reshape(blocks, [-1, _BLOCK * _BLOCK, height * width // _BLOCK**2, channels])


def _join_blocks(blocks: Any, planes: Any) -> Any:
    """Join float32 (N, 64, blocks, C) into the shape of `planes`."""
    _, height, width, channels = planes.shape
    joined = tf.reshape(blocks, [-1, _BLOCK, _BLOCK, height // _BLOCK, width // _BLOCK, channels])
    joined = tf.transpose(joined, [0, 3, 1, 4, 2, 5])
    return tf.reshape(joined, [-1, height, width, channels])


def _compute_dct() -> NDArray[np.float32]:
    """Return the orthonormal DCT of a block in one matrix, float32 (64 coefficients, 64 pixels)."""
    frequency, position = np.mgrid[0:_BLOCK, 0:_BLOCK]
    of_row = np.cos((2 * position + 1) * frequency * np.pi / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    of_row[0] /= np.sqrt(2)
    return np.kron(of_row, of_row).astype(np.float32)


_DCT = _compute_dct()
_FROM_YCC = np.linalg.inv(np.array(_TO_YCC)).astype(np.float32)
