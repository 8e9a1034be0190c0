"""Read every file of the class folders once, and measure what the findings rest on."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile
from trainer.data.dataset import UnreadableFile, read_image
from trainer.data.near_duplicates import Bits, hash_differences
from worker.errors import BadPhoto
from worker.inference.bundle import InputSpec
from worker.inference.decode import Pixels
from worker.inference.preprocess import resize_to_input

WORKING_SIDE = 320
"""Longest side in pixels of what is measured, as the shipped bundles read pictures."""

VIEW = InputSpec(width=48, height=48, colour="rgb", resize="stretch")
"""What labels are guessed by: faces of 48 × 48 pixels are what people labelled FER2013 by."""

_SHARPNESS_SIDE = 64
"""Longest side at which sharpness is measured: what is unsharp there is unsharp to a small network too."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as Pillow's grey."""


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """A picture and what was measured of it.

    `width` and `height` are those of the file, upright. `brightest` is the 99th percentile of its luminance,
    0 to 1; `sharpness` see `measure_sharpness`. `view` is uint8 (48, 48, 3), RGB. `bits` and `mirrored_bits`
    are its difference hash and its mirror image's, uint64 (8,).
    """

    file: ClassFile
    sha256: str
    width: int
    height: int
    brightest: float
    sharpness: float
    view: Pixels
    bits: Bits
    mirrored_bits: Bits


@dataclass(frozen=True, slots=True)
class Examination:
    """All the files of all classes: the pictures, and what is none."""

    classes: tuple[str, ...]
    pictures: tuple[ExaminedImage, ...]
    unreadable: tuple[UnreadableFile, ...]


def examine(files: dict[str, list[ClassFile]], on_file: Callable[[], None], max_pixels: int) -> Examination:
    """Read the files of each class, as `find_classes` gives them; `on_file` is told of each.

    A picture of more than `max_pixels` counts as unreadable, as in training.
    """
    pictures: list[ExaminedImage] = []
    unread: list[UnreadableFile] = []
    for outcome in _examine_all([file for each in files.values() for file in each], max_pixels):
        on_file()
        if isinstance(outcome, ExaminedImage):
            pictures.append(outcome)
        else:
            unread.append(outcome)
    return Examination(tuple(files), tuple(pictures), tuple(unread))


def measure_sharpness(grey: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian of grey, (H, W), over the variance of grey itself.

    The first is the usual measure of focus (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield
    microscopy"); the second makes it one of sharpness rather than of contrast. 0 where nothing varies.
    """
    if min(grey.shape) < 3 or not grey.var():
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var() / grey.var())


def _examine_all(files: Sequence[ClassFile], max_pixels: int) -> Iterator[ExaminedImage | UnreadableFile]:
    # Pillow decodes without Python's lock, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(partial(_examine, max_pixels=max_pixels), files)


def _examine(file: ClassFile, max_pixels: int) -> ExaminedImage | UnreadableFile:
    try:
        data, picture = read_image(file.path, max_pixels=max_pixels, max_side=WORKING_SIDE)
    except BadPhoto as error:
        return UnreadableFile(file, error.reason, error.detail)
    bits, mirrored_bits = hash_differences(picture.pixels)
    small = resize_to_input(picture.pixels, _fit_within(picture.pixels.shape, _SHARPNESS_SIDE)).astype(
        np.float32
    )
    grey = small @ _LUMINANCE
    return ExaminedImage(
        file=file,
        sha256=hashlib.sha256(data).hexdigest(),
        width=picture.width,
        height=picture.height,
        brightest=float(np.percentile(grey, 99)) / 255,
        sharpness=measure_sharpness(grey),
        view=resize_to_input(picture.pixels, VIEW),
        bits=bits,
        mirrored_bits=mirrored_bits,
    )


def _fit_within(shape: tuple[int, ...], longest: int) -> InputSpec:
    scale = min(1.0, longest / max(shape[:2]))
    height, width = (max(1, round(side * scale)) for side in shape[:2])
    return InputSpec(width, height, "rgb", "stretch")
