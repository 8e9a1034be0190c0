"""Read every file of the class folders once, and measure what the findings rest on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile
from trainer.data.images import WORKING_SIDE, DecodedFile, UnreadableFile, read_images
from trainer.data.near_duplicates import Bits, hash_differences
from worker.inference.decode import Pixels
from worker.inference.manifest import InputSpec
from worker.inference.preprocess import resize_to_input

VIEW = InputSpec(width=48, height=48, colour="rgb", resize="stretch")
"""What labels are guessed by: faces of 48 × 48 pixels are what people labelled FER2013 by."""

_SHARPNESS_SIDE = 64
"""Longest side at which sharpness is measured: what is blurred there is blurred to a small network too."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as Pillow's grey."""


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """A picture and what was measured of it.

    `width` and `height` are those of the file, upright. `brightest` is the 99th percentile of its luminance,
    0 to 1; `sharpness` see `measure_sharpness`. `view` is uint8 (48, 48, 3), RGB. `bits` and `mirror_bits`
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
    mirror_bits: Bits


@dataclass(frozen=True, slots=True)
class Examination:
    """All the files of all classes: the pictures, and the files that cannot be read."""

    classes: tuple[str, ...]
    pictures: tuple[ExaminedImage, ...]
    unreadable: tuple[UnreadableFile, ...]

    def make_labels(self) -> NDArray[np.int64]:
        """Return the label of each picture, int64 (N,), positions in the classes."""
        indices = {label: index for index, label in enumerate(self.classes)}
        return np.array([indices[picture.file.label] for picture in self.pictures], np.int64)


def examine_files(
    files_by_class: Mapping[str, Sequence[ClassFile]], on_file: Callable[[], None], max_pixels: int
) -> Examination:
    """Read the files of each class, as `find_classes` gives them; `on_file` is called after each.

    A picture of more than `max_pixels` pixels counts as unreadable, as in training.
    """
    files = [file for class_files in files_by_class.values() for file in class_files]
    pictures: list[ExaminedImage] = []
    unreadable: list[UnreadableFile] = []
    for result in read_images(files, _examine, max_pixels=max_pixels, max_side=WORKING_SIDE):
        on_file()
        if isinstance(result, UnreadableFile):
            unreadable.append(result)
        else:
            pictures.append(result)
    return Examination(tuple(files_by_class), tuple(pictures), tuple(unreadable))


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


def _examine(image: DecodedFile) -> ExaminedImage:
    pixels = image.picture.pixels
    bits, mirror_bits = hash_differences(pixels)
    small = resize_to_input(pixels, _fit_within(pixels.shape, _SHARPNESS_SIDE)).astype(np.float32)
    grey = small @ _LUMINANCE
    return ExaminedImage(
        file=image.file,
        sha256=image.sha256,
        width=image.picture.width,
        height=image.picture.height,
        brightest=float(np.percentile(grey, 99)) / 255,
        sharpness=measure_sharpness(grey),
        view=resize_to_input(pixels, VIEW),
        bits=bits,
        mirror_bits=mirror_bits,
    )


def _fit_within(shape: tuple[int, ...], max_side: int) -> InputSpec:
    scale = min(1.0, max_side / max(shape[:2]))
    height, width = (max(1, round(side * scale)) for side in shape[:2])
    return InputSpec(width, height, "rgb", "stretch")
