"""Photos in which squares are faces, a detector that finds them, and a classifier that reads their colour."""

import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tests.drawing import encode_image
from trainer.data.class_folders import Split
from worker.inference.decode import Picture
from worker.inference.detector import Detection
from worker.inference.prediction import Prediction

MAX_SIDE = 320

Square = tuple[int, int, int]
"""Left, top and side of a face."""


class SquareDetector:
    """Detects the squares in which red is full, and works only in the thread that made it."""

    max_side = MAX_SIDE

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def detect(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        assert threading.get_ident() == self._thread
        numbers, _ = ndimage.label(pixels[..., 0] > 250)
        slices = ndimage.find_objects(numbers)
        return tuple(Detection(x.start, y.start, x.stop, y.stop, 0.9) for y, x in slices)


class GreenClassifier:
    """Takes a face for happy as far as it is green."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def predict(self, picture: Picture) -> Prediction:
        assert threading.get_ident() == self._thread
        happy = float(picture.pixels[..., 1].mean()) / 255
        probabilities = {"happy": happy, "sad": 1 - happy}
        label = max(probabilities, key=probabilities.__getitem__)
        return Prediction(label, probabilities[label], probabilities, None)


def draw_photo(
    *squares: Square, size: tuple[int, int] = (120, 90), seed: int = 0, green: int | None = None
) -> Image.Image:
    """Draw a dim photo in which the squares are faces, of noise or of one green."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 120, (size[1], size[0], 3), np.uint8)
    for left, top, side in squares:
        pixels[top : top + side, left : left + side, 0] = 255
        if green is not None:
            pixels[top : top + side, left : left + side, 1] = green
    return Image.fromarray(pixels)


def write_picture(path: Path, picture: Image.Image) -> Path:
    """Write a PNG, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(picture, "PNG"))
    return path


def write_split_photos(folder: Path) -> Path:
    """Write split photos: two classes, and in each split a photo with two faces and one with none."""
    for number, split in enumerate(Split):
        for label in ("happy", "sad"):
            write_picture(
                folder / split / label / "two.png", draw_photo((5, 5, 20), (50, 30, 40), seed=number)
            )
            write_picture(folder / split / label / "none.png", draw_photo(seed=number))
    return folder


def list_files(out: Path) -> list[str]:
    """Return the files below a folder, by their paths in it."""
    return sorted(os.fspath(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
