"""Photos whose faces are white squares, and a finder that is trained on them with a teacher that sees these.

Run as a program it trains: `python -m tests.bright_squares DATA OUT`.
"""

import os
import sys
from functools import partial
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
        left, top = (int(draw.integers(0, long - side)) for long in SIZE)
        pixels[top : top + side, left : left + side] = 255
    return pixels


def mark(pixels: NDArray[np.uint8]) -> Annotations:
    """See every white square, as a teacher sees faces."""
    numbers, _ = ndimage.label(pixels.min(axis=2) > 200)
    rows = [
        ((across.start + across.stop) / 2, (down.start + down.stop) / 2, across.stop - across.start)
        for down, across in ndimage.find_objects(numbers)
    ]
    return Annotations(np.array(rows, np.float32).reshape(-1, 3), make_no_boxes())


def draw_data(folder: Path) -> Path:
    """Draw `photos`, divided, and `faces`, pictures that are nothing but a face."""
    for part, first, count in (("train", 0, 200), ("valid", 10_000, 48)):
        for number in range(count):
            path = folder / "photos" / part / CLASSES[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_photo(first + number)).save(path)
    for label in CLASSES:
        (folder / "faces" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (32, 32), (255, 255 - number, 255)).save(
                folder / "faces" / label / f"{number}.png"
            )
    return folder


def order_of(data: Path, out: Path) -> "DetectorConfig":
    """Ask for a small finder, trained on one thread, which makes it the same each time."""
    from trainer.pipelines.train_detector import DetectorConfig

    return DetectorConfig(
        photos=(data / "photos",),
        faces=(data / "faces",),
        teacher=Path("none"),
        out=out,
        side=96,
        reads=128,
        epochs=EPOCHS,
        seed=0,
        threads=1,
        max_side=96,
        max_pixels=10**6,
        command="a test",
    )


def _train(data: Path, out: Path) -> None:
    from trainer.pipelines.train_detector import train_detector
    from trainer.training.progress import Progress

    progress = Progress(partial(print, flush=True), lambda epoch: None)
    train_detector(order_of(data, out), progress, mark)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    _train(*map(Path, sys.argv[1:]))
