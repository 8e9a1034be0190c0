"""Photos whose faces are white squares, and a detector that learns them from a teacher that sees just these.

Run as a program it trains: `python -m tests.bright_squares DATA OUT`.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from trainer.detection.boxes import Annotations, make_no_boxes

if TYPE_CHECKING:
    from trainer.pipelines.train_detector import DetectorConfig

SIZE = (96, 72)
EPOCHS = 12
CLASSES = ("one", "other")


def draw_photo(seed: int) -> NDArray[np.uint8]:
    """Draw a dim, soft photo, uint8 (72, 96, 3), with a white square in three of four."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 110, (6, 8, 3), np.uint8))
    pixels = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC)).copy()
    if seed % 4:
        side = int(draw.integers(24, 48))
        left, top = (int(draw.integers(0, photo_side - side)) for photo_side in SIZE)
        pixels[top : top + side, left : left + side] = 255
    return pixels


def annotate(pixels: NDArray[np.uint8]) -> Annotations:
    """Annotate every white square as a face, as a teacher does."""
    numbers, _ = ndimage.label(pixels.min(axis=2) > 200)
    rows = [
        ((columns.start + columns.stop) / 2, (lines.start + lines.stop) / 2, columns.stop - columns.start)
        for lines, columns in ndimage.find_objects(numbers)
    ]
    return Annotations(np.array(rows, np.float32).reshape(-1, 3), make_no_boxes())


def draw_data(folder: Path) -> Path:
    """Draw `photos`, split, and `faces`, pictures that are one face each."""
    for split, first, count in (("train", 0, 200), ("valid", 10_000, 48)):
        for number in range(count):
            path = folder / "photos" / split / CLASSES[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_photo(first + number)).save(path)
    for label in CLASSES:
        (folder / "faces" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (32, 32), (255, 255 - number, 255)).save(
                folder / "faces" / label / f"{number}.png"
            )
    return folder


def make_config(data: Path, out: Path) -> "DetectorConfig":
    """Ask for a small detector, trained on one thread, which makes it the same each time."""
    from trainer.pipelines.train_detector import DetectorConfig

    return DetectorConfig(
        photos=(data / "photos",),
        faces=(data / "faces",),
        teacher=Path("none"),
        out=out,
        train_size=96,
        input_size=128,
        epochs=EPOCHS,
        seed=0,
        threads=1,
        max_side=96,
        max_pixels=10**6,
        command="a test",
    )


def _train(data: Path, out: Path) -> None:
    from trainer.cli.progress_bar import show_progress
    from trainer.pipelines.train_detector import train_detector

    with show_progress() as progress:
        train_detector(make_config(data, out), progress, annotate)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    _train(*map(Path, sys.argv[1:]))
