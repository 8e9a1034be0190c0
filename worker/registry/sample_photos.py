"""Draw pictures to measure with, as large as those of a telephone."""

from pathlib import Path

import numpy as np
from PIL import Image

SAMPLE_SIZE = (4000, 3000)

_COUNT = 3

_DETAIL_PIXELS = 8
"""With detail of this width, a JPEG has about as many bytes as one from a camera."""


def draw_sample_photos(folder: Path, size: tuple[int, int] = SAMPLE_SIZE) -> list[Path]:
    """Draw three JPEGs into the folder, always the same; return their paths."""
    return [_draw_photo(folder / f"drawn-{seed}.jpg", seed, size) for seed in range(_COUNT)]


def _draw_photo(path: Path, seed: int, size: tuple[int, int]) -> Path:
    rng = np.random.default_rng(seed)
    light = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = rng.integers(0, 256, (size[1] // _DETAIL_PIXELS, size[0] // _DETAIL_PIXELS, 3), np.uint8)
    detail = Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR)
    Image.blend(light, detail, 0.25).save(path, quality=90)
    return path
