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

from trainer.data.class_folders import ClassFile, Part
from trainer.data.dataset import Unread, read_file
from trainer.data.destinations import placed
from worker.errors import BadPhoto
from worker.inference.decode import Picture, Pixels
from worker.inference.detector import Box, cut
from worker.inference.prediction import Verdict
from worker.paths import NAME_MAX

LARGEST_SIDE = 96
"""Pixels of a crop's longer side, at most: no network of moodsort's own reads more of a face."""

_ENDING = "-{}.png"
_LONGEST_ENDING = len(" (99999)-999.png")
"""What a name may have to end in where it is taken already."""


class Finder(Protocol):
    """What finds the faces in a picture."""

    @property
    def working_side(self) -> int:
        """The longest side of the pictures that it looks at."""

    def find(self, pixels: Pixels) -> tuple[Box, ...]:
        """Find faces in a picture, uint8 (H, W, 3), the largest first."""


class Reader(Protocol):
    """What reads a face, to tell whether its folder may be the wrong one."""

    def judge(self, picture: Picture) -> Verdict:
        """Judge the picture of a face."""


@dataclass(frozen=True, slots=True)
class Tools:
    """How a thread gets a finder and a reader of its own; None where nothing is to be doubted."""

    finder: Callable[[], Finder]
    reader: Callable[[], Reader] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which faces are cut out.

    Of those whose side has `smallest` pixels or more the `most` largest; where there is none and `wholes`
    says so, a picture that is no larger than a crop may be. Those to whose label the reader gives a chance
    under `least` are left out of `doubted_parts`.
    """

    smallest: int
    most: int
    wholes: bool
    least: float
    doubted_parts: frozenset[Part | None]


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of one photo: the faces found in it, the pictures written, left out, and written whole."""

    file: ClassFile
    found: int
    written: int
    doubted: int
    wholes: int


def cut_faces(
    files: Sequence[ClassFile],
    folders: Sequence[Path],
    out: Path,
    tools: Tools,
    choice: Choice,
    max_pixels: int,
) -> Iterator[Cut | Unread]:
    """Write the faces of each file below `out` as part/label/NAME-K.png, and say what came of each, in order.

    Raises OSError where the disk refuses, and BundleError where a finder or a reader cannot be loaded.
    """
    places = placed(((file, file.part) for file in files), folders, _stem)
    bench = _Bench(tools)

    def cut_one(file: ClassFile, place: Path) -> Cut | Unread:
        try:
            side = bench.finder.working_side
            _, picture = read_file(file.path, max_pixels=max_pixels, working_side=side)
        except BadPhoto as bad:
            return Unread(file, bad.reason, bad.detail)
        faces = _faces(picture.pixels, bench.finder, choice)
        wholes = [picture.pixels] if choice.wholes and not faces and _is_crop(picture) else []
        crops = faces or wholes
        is_grey = not np.ptp(picture.pixels, axis=2).any()
        written = 0
        for number, crop in enumerate(crops, start=1):
            if not _is_doubted(crop, file, bench.reader, choice):
                _write(crop[..., 0] if is_grey else crop, out / f"{place}{_ENDING.format(number)}")
                written += 1
        return Cut(file, len(faces), written, len(crops) - written, min(written, len(wholes)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(cut_one, files, places)


class _Bench(threading.local):
    """A thread's own tools: `__init__` runs again in each thread that asks for one, as LiteRT wants it."""

    def __init__(self, tools: Tools) -> None:
        self.finder = tools.finder()
        self.reader = tools.reader() if tools.reader is not None else None


def _stem(name: str) -> str:
    """Return a name without its extension, with room for what the crops' names end in."""
    stem = os.fsencode(os.path.splitext(name)[0])
    return stem[: NAME_MAX - _LONGEST_ENDING].decode("utf-8", "ignore") or "unnamed"


def _faces(pixels: Pixels, finder: Finder, choice: Choice) -> list[Pixels]:
    boxes = [box for box in finder.find(pixels) if box.side >= choice.smallest]
    boxes.sort(key=lambda box: -box.side)
    return [cut(pixels, box) for box in boxes[: choice.most]]


def _is_crop(picture: Picture) -> bool:
    return max(picture.width, picture.height) <= LARGEST_SIDE


def _is_doubted(crop: Pixels, file: ClassFile, reader: Reader | None, choice: Choice) -> bool:
    if reader is None or file.part not in choice.doubted_parts:
        return False
    height, width, _ = crop.shape
    return reader.judge(Picture(crop, width, height)).scores[file.label] < choice.least


def _write(crop: Pixels, path: Path) -> None:
    image = Image.fromarray(crop)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG")
