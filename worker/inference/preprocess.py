"""Resize a picture to what the stages of a bundle read; the same for worker and trainer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.inference.bundle import InputSpec
from worker.inference.decode import Pixels

_BARS = 128
"""The grey of a letterbox's bars."""

_AMPLE = 320
"""A picture whose longest side has as many pixels several times over is reduced before it is resized.

Each square of pixels becomes one, their mean; to resize it from there takes a third of the time.
"""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in what a stage reads, in the stage's pixels."""

    left: int
    top: int
    width: int
    height: int


def placed(width: int, height: int, spec: InputSpec) -> Placement:
    """Return where `fit` puts a picture of this size.

    A point (x, y) of the stage's input shows ((x - left) · picture's width / width, …) of the picture.
    """
    if spec.resize == "stretch":
        return Placement(0, 0, spec.width, spec.height)
    # As Pillow's ImageOps.pad rounds, but for what it makes of 0 pixels.
    across, down = spec.width, spec.height
    if width / height > across / down:
        down = max(1, round(height / width * across))
    else:
        across = max(1, round(width / height * down))
    return Placement(round((spec.width - across) * 0.5), round((spec.height - down) * 0.5), across, down)


def fit(pixels: Pixels, spec: InputSpec) -> Pixels:
    """Resize RGB pixels, uint8 (H, W, 3), to what a stage reads: uint8 (height, width, 1 or 3)."""
    return View.of(pixels).fit_each([spec])[0]


@dataclass(frozen=True, slots=True)
class View:
    """A picture, or a part of it, that several stages read, at less cost than by `fit` and slices."""

    image: Image.Image

    @classmethod
    def of(cls, pixels: Pixels) -> "View":
        """Look at a whole picture, uint8 (H, W, 3), RGB."""
        return cls(Image.fromarray(pixels))

    def cut(self, left: int, top: int, right: int, bottom: int) -> "View":
        """Look at a part alone, right and bottom not included."""
        return View(self.image.crop((left, top, right, bottom)))

    def fit_each(self, specs: Sequence[InputSpec]) -> list[Pixels]:
        """Resize to what each of the stages reads: uint8 (height, width, 1 or 3)."""
        size = self.image.size
        steps = [_step(size, placed(*size, spec)) for spec in specs]
        reduced = {step: self.image.reduce(step) if step > 1 else self.image for step in set(steps)}
        return [_fitted(reduced[step], size, step, spec) for step, spec in zip(steps, specs, strict=True)]


def _step(size: tuple[int, int], place: Placement) -> int:
    """Return by how much a picture of this size can be reduced and still have more pixels than are needed."""
    width, height = size
    # Half a pixel, by which `placed` may have rounded up.
    most = min(width / (place.width - 0.5), height / (place.height - 0.5), max(size) / _AMPLE)
    return max(1, int(most))


def _fitted(reduced: Image.Image, size: tuple[int, int], step: int, spec: InputSpec) -> Pixels:
    """Resize a picture of this size that is reduced by a step; its last pixels may stand for less of it."""
    if spec.colour == "grey":
        reduced = reduced.convert("L")
    place = placed(*size, spec)
    covered = (0, 0, size[0] / step, size[1] / step)
    image = reduced.resize((place.width, place.height), Image.Resampling.BILINEAR, covered)
    fitted = np.asarray(image, np.uint8).reshape(place.height, place.width, -1)
    if (place.width, place.height) == (spec.width, spec.height):
        return fitted
    boxed = np.full((spec.height, spec.width, fitted.shape[2]), _BARS, np.uint8)
    boxed[place.top : place.top + place.height, place.left : place.left + place.width] = fitted
    return boxed
