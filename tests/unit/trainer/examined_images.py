"""Pictures as an examination finds them, drawn at random and measured at will."""

from pathlib import Path

import numpy as np

from trainer.data.audit.examination import ExaminedImage
from trainer.data.class_folders import ClassFile, Split
from trainer.data.near_duplicates import hash_differences

DATA = Path("data")


def make_picture(
    name: str,
    label: str = "happy",
    *,
    drawing: int | None = None,
    split: Split | None = None,
    sha256: str | None = None,
    size: tuple[int, int] = (640, 480),
    brightest: float = 0.9,
    sharpness: float = 0.5,
) -> ExaminedImage:
    """Make up a picture: those of the same `drawing` are near-duplicates, of the same `sha256` copies."""
    seed = sum(name.encode()) if drawing is None else drawing
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), np.uint8)
    bits, mirror_bits = hash_differences(pixels)
    return ExaminedImage(
        file=ClassFile(DATA / label / name, DATA, label, split),
        sha256=sha256 or name,
        width=size[0],
        height=size[1],
        brightest=brightest,
        sharpness=sharpness,
        view=pixels,
        bits=bits,
        mirror_bits=mirror_bits,
    )
