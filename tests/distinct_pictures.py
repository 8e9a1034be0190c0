"""Pictures of which no two are near-duplicates: patches of colour under a fine grain."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.drawing import encode_image


def draw_distinct_picture(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """Draw a picture like that of no other seed."""
    generator = np.random.default_rng(seed)
    patches = Image.fromarray(generator.integers(0, 256, (7, 9, 3), np.uint8))
    smooth = np.asarray(patches.resize(size, Image.Resampling.BICUBIC), np.float64)
    grain = generator.normal(0, 20, smooth.shape)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def write_file(path: Path, content: bytes) -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fill_folder(folder: Path, first: int, count: int = 5) -> list[Path]:
    """Write a JPEG for each of the seeds from `first` on, named by its seed."""
    return [
        write_file(folder / f"{seed}.jpg", encode_image(draw_distinct_picture(seed), "JPEG", quality=92))
        for seed in range(first, first + count)
    ]
