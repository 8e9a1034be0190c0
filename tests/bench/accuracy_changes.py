"""Change a picture in the ways that photos differ by, and encode it again."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.inference.decode import Pixels

_SMALL_SIDE = 24
_JPEG_QUALITY = 20
_EXTRA = 0.2
_DEGREES = 15.0
_GAMMA = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """How a picture is changed, and how it is encoded afterwards: as PNG where no JPEG quality is given."""

    name: str
    description: str
    apply: Callable[[Pixels], Pixels]
    jpeg_quality: int | None = None

    def encode(self, pixels: Pixels) -> bytes:
        """Return the file of the changed picture; `pixels` is uint8 (H, W, 3), RGB."""
        image, file = Image.fromarray(self.apply(pixels)), io.BytesIO()
        if self.jpeg_quality is None:
            image.save(file, "PNG", compress_level=1)
        else:
            image.save(file, "JPEG", quality=self.jpeg_quality)
        return file.getvalue()


def reduce(pixels: Pixels) -> Pixels:
    """Reduce the longest side to 24 pixels; a picture that is as small already stays as it is."""
    height, width, _ = pixels.shape
    scale = _SMALL_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def keep_pixels(pixels: Pixels) -> Pixels:
    """Return the pixels as they are, for a change that is all in the encoding."""
    return pixels


def loosen(pixels: Pixels) -> Pixels:
    """Put the picture in the middle of a canvas of 1.2 times its sides, its edge pixels repeated outwards."""
    height, width, _ = pixels.shape
    rows, columns = round(_EXTRA * height), round(_EXTRA * width)
    vertical = rows // 2, rows - rows // 2
    horizontal = columns // 2, columns - columns // 2
    return np.pad(pixels, (vertical, horizontal, (0, 0)), mode="edge")


def rotate(pixels: Pixels) -> Pixels:
    """Rotate by 15 degrees anticlockwise about the centre, the edge pixels repeated into the corners."""
    height, width, _ = pixels.shape
    cosine, sine = math.cos(math.radians(_DEGREES)), math.sin(math.radians(_DEGREES))
    top = _compute_margin(cosine * height + sine * width - height)
    left = _compute_margin(cosine * width + sine * height - width)
    padded = np.pad(pixels, ((top, top), (left, left), (0, 0)), mode="edge")
    image = Image.fromarray(padded).rotate(_DEGREES, Image.Resampling.BILINEAR)
    return np.asarray(image)[top : top + height, left : left + width]


def lighten(pixels: Pixels) -> Pixels:
    """Raise every value to the power 0.5 of its share of 255, which makes the picture lighter."""
    curve: Pixels = (255 * (np.arange(256) / 255) ** _GAMMA).round().astype(np.uint8)
    return curve[pixels]


def _compute_margin(excess: float) -> int:
    """Return how far the rotated picture extends beyond one edge, and a pixel more for the interpolation."""
    return max(0, math.ceil(excess / 2)) + 1


CHANGES = (
    Change(f"reduced to {_SMALL_SIDE} pixels", "the longest side; what is smaller stays as it is", reduce),
    Change(f"JPEG of quality {_JPEG_QUALITY}", "as Pillow saves it", keep_pixels, _JPEG_QUALITY),
    Change(
        f"{100 * _EXTRA:g} % looser",
        f"in the middle of a canvas of {1 + _EXTRA:g} times its sides, the edge pixels repeated outwards",
        loosen,
    ),
    Change(
        f"turned by {_DEGREES:g}°",
        "anticlockwise at the same size, the edge pixels repeated into the corners",
        rotate,
    ),
    Change(
        f"gamma {_GAMMA:g}",
        f"which is lighter: every value becomes 255 · (value / 255) ^ {_GAMMA:g}",
        lighten,
    ),
)
