"""Resize a picture to the inputs of networks, in the same way for worker and trainer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.inference.decode import Pixels
from worker.inference.manifest import InputSpec

_BAR_GREY = 128
"""The grey of a letterbox's bars."""

_AMPLE_SIDE = 320
"""A picture whose longest side is a multiple of these pixels is reduced by that factor before it is resized.

Each square of pixels becomes one, their mean; to resize from there takes a third of the time.
"""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in a network's input, in the input's pixels."""

    left: int
    top: int
    width: int
    height: int


def compute_placement(width: int, height: int, spec: InputSpec) -> Placement:
    """Return where `resize_to_input` puts a picture of this size.

    A point (x, y) of the input shows ((x - left) · picture's width / width, …) of the picture.
    """
    if spec.resize == "stretch":
        return Placement(0, 0, spec.width, spec.height)
    # As Pillow's ImageOps.pad rounds, but for what it makes of 0 pixels.
    new_width, new_height = spec.width, spec.height
    if width / height > new_width / new_height:
        new_height = max(1, round(height / width * new_width))
    else:
        new_width = max(1, round(width / height * new_height))
    left, top = round((spec.width - new_width) * 0.5), round((spec.height - new_height) * 0.5)
    return Placement(left, top, new_width, new_height)


def resize_to_input(pixels: Pixels, spec: InputSpec) -> Pixels:
    """Resize RGB pixels, uint8 (H, W, 3), to a network's input: uint8 (height, width, 1 or 3)."""
    return SourceImage.from_pixels(pixels).resize_all([spec])[0]


@dataclass(frozen=True, slots=True)
class SourceImage:
    """A picture, or a crop of it, that several networks read.

    It is converted and reduced once for all of them, not once for each as by `resize_to_input`.
    """

    image: Image.Image

    @classmethod
    def from_pixels(cls, pixels: Pixels) -> "SourceImage":
        """Make it of a whole picture, uint8 (H, W, 3), RGB."""
        return cls(Image.fromarray(pixels))

    def crop(self, left: int, top: int, right: int, bottom: int) -> "SourceImage":
        """Return a part of it, right and bottom not included."""
        return SourceImage(self.image.crop((left, top, right, bottom)))

    def resize_all(self, specs: Sequence[InputSpec]) -> list[Pixels]:
        """Resize to each of the inputs: uint8 (height, width, 1 or 3)."""
        size = self.image.size
        factors = [_choose_factor(size, compute_placement(*size, spec)) for spec in specs]
        reduced = {factor: self.image.reduce(factor) if factor > 1 else self.image for factor in set(factors)}
        return [
            _resize(reduced[factor], size, factor, spec) for factor, spec in zip(factors, specs, strict=True)
        ]


def _choose_factor(size: tuple[int, int], placement: Placement) -> int:
    """Return the factor by which a picture of this size can be reduced and still has pixels enough."""
    width, height = size
    # Half a pixel less, by which `compute_placement` may have rounded up.
    largest = min(width / (placement.width - 0.5), height / (placement.height - 0.5), max(size) / _AMPLE_SIDE)
    return max(1, int(largest))


def _resize(reduced: Image.Image, size: tuple[int, int], factor: int, spec: InputSpec) -> Pixels:
    """Resize a picture of this size that has been reduced by a factor."""
    if spec.colour == "grey":
        reduced = reduced.convert("L")
    placement = compute_placement(*size, spec)
    # Not `reduced.size`: where the factor does not divide the size, the last pixels stand for less.
    area = (0, 0, size[0] / factor, size[1] / factor)
    image = reduced.resize((placement.width, placement.height), Image.Resampling.BILINEAR, area)
    pixels = np.asarray(image, np.uint8).reshape(placement.height, placement.width, -1)
    if (placement.width, placement.height) == (spec.width, spec.height):
        return pixels
    letterbox = np.full((spec.height, spec.width, pixels.shape[2]), _BAR_GREY, np.uint8)
    rows = slice(placement.top, placement.top + placement.height)
    columns = slice(placement.left, placement.left + placement.width)
    letterbox[rows, columns] = pixels
    return letterbox
