"""Draw pictures to measure with, as large as a telephone's."""

from pathlib import Path

import numpy as np
from PIL import Image

DRAWN_SIZE = (4000, 3000)

_DRAWN = 3

_COARSE = 8
"""Detail this many pixels wide makes a JPEG of about the bytes that a camera's has."""


def draw_sample_photos(folder: Path, size: tuple[int, int] = DRAWN_SIZE) -> list[Path]:
    """Draw some JPEGs into the folder, always the same ones; return their paths."""
    return [_draw_photo(folder / f"drawn-{seed}.jpg", seed, size) for seed in range(_DRAWN)]


def _draw_photo(path: Path, seed: int, size: tuple[int, int]) -> Path:
    dice = np.random.default_rng(seed)
    light = Image.fromarray(dice.integers(0, 256, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = dice.integers(0, 256, (size[1] // _COARSE, size[0] // _COARSE, 3), np.uint8)
    detail = Image.fromarray(fine).resize(size, Image.Resampling.BILINEAR)
    Image.blend(light, detail, 0.25).save(path, quality=90)
    return path
