"""Cut the faces out of photos, each as the worker would read it, into class folders of pictures of faces."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from trainer.data.class_folders import ClassFile, Split
from trainer.data.dataset import UnreadableFile, read_image
from trainer.data.destinations import assign_destinations
from worker.errors import BadPhoto
from worker.inference.decode import Picture, Pixels
from worker.inference.detector import Detection, crop_face
from worker.inference.prediction import Prediction
from worker.paths import NAME_MAX

LARGEST_SIDE = 96
"""Pixels of a crop's longer side, at most: no network of moodsort's own reads more of a face."""

_ENDING = "-{}.png"
_LONGEST_ENDING = len(" (99999)-999.png")
"""What a name may have to end in where it is taken already."""


class FaceDetector(Protocol):
    """What finds the faces in a picture."""

    @property
    def max_side(self) -> int:
        """The longest side of the pictures that it looks at."""

    def detect(self, pixels: Pixels) -> tuple[Detection, ...]:
        """Find faces in a picture, uint8 (H, W, 3), the largest first."""


class FaceClassifier(Protocol):
    """What reads a face, to tell whether its folder may be the wrong one."""

    def predict(self, picture: Picture) -> Prediction:
        """Judge the picture of a face."""


@dataclass(frozen=True, slots=True)
class CropTools:
    """How a thread gets a finder and a reader of its own; None where nothing is to be doubted."""

    finder: Callable[[], FaceDetector]
    reader: Callable[[], FaceClassifier] | None = None


@dataclass(frozen=True, slots=True)
class CropOptions:
    """Which faces are cut out.

    Of those whose side has `smallest` pixels or more the `most` largest; where there is none and `wholes`
    says so, a picture that is no larger than a crop may be. Those to whose label the reader gives a chance
    under `least` are left out of `doubted_parts`.
    """

    smallest: int
    most: int
    wholes: bool
    least: float
    doubted_parts: frozenset[Split | None]


@dataclass(frozen=True, slots=True)
class CropResult:
    """What came of one photo: the faces found in it, the pictures written, left out, and written whole."""

    file: ClassFile
    found: int
    written: int
    doubted: int
    wholes: int


def crop_faces(
    files: Sequence[ClassFile],
    folders: Sequence[Path],
    out: Path,
    tools: CropTools,
    choice: CropOptions,
    max_pixels: int,
) -> Iterator[CropResult | UnreadableFile]:
    """Write the faces of each file below `out` as part/label/NAME-K.png, and say what came of each, in order.

    Raises OSError where the disk refuses, and BundleError where a finder or a reader cannot be loaded.
    """
    places = assign_destinations(((file, file.split) for file in files), folders, _shorten_stem)
    bench = _ThreadTools(tools)

    def cut_one(file: ClassFile, place: Path) -> CropResult | UnreadableFile:
        try:
            side = bench.finder.max_side
            _, picture = read_image(file.path, max_pixels=max_pixels, max_side=side)
        except BadPhoto as bad:
            return UnreadableFile(file, bad.reason, bad.detail)
        faces = _find_faces(picture.pixels, bench.finder, choice)
        wholes = [picture.pixels] if choice.wholes and not faces and _is_crop(picture) else []
        crops = faces or wholes
        is_grey = not np.ptp(picture.pixels, axis=2).any()
        written = 0
        for number, crop in enumerate(crops, start=1):
            if not _is_mislabeled(crop, file, bench.reader, choice):
                _write(crop[..., 0] if is_grey else crop, out / f"{place}{_ENDING.format(number)}")
                written += 1
        return CropResult(file, len(faces), written, len(crops) - written, min(written, len(wholes)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(cut_one, files, places)


class _ThreadTools(threading.local):
    """A thread's own tools: `__init__` runs again in each thread that asks for one, as LiteRT wants it."""

    def __init__(self, tools: CropTools) -> None:
        self.finder = tools.finder()
        self.reader = tools.reader() if tools.reader is not None else None


def _shorten_stem(name: str) -> str:
    """Return a name without its extension, with room for what the crops' names end in."""
    stem = os.fsencode(os.path.splitext(name)[0])
    return stem[: NAME_MAX - _LONGEST_ENDING].decode("utf-8", "ignore") or "unnamed"


def _find_faces(pixels: Pixels, finder: FaceDetector, choice: CropOptions) -> list[Pixels]:
    boxes = [box for box in finder.detect(pixels) if box.side >= choice.smallest]
    boxes.sort(key=lambda box: -box.side)
    return [crop_face(pixels, box) for box in boxes[: choice.most]]


def _is_crop(picture: Picture) -> bool:
    return max(picture.width, picture.height) <= LARGEST_SIDE


def _is_mislabeled(crop: Pixels, file: ClassFile, reader: FaceClassifier | None, choice: CropOptions) -> bool:
    if reader is None or file.split not in choice.doubted_parts:
        return False
    height, width, _ = crop.shape
    return reader.predict(Picture(crop, width, height)).probabilities[file.label] < choice.least


def _write(crop: Pixels, path: Path) -> None:
    image = Image.fromarray(crop)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG")
