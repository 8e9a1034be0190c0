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
_LOOSER = 0.2
_DEGREES = 15.0
_GAMMA = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a picture, and how it is encoded afterwards: as PNG where no JPEG quality is given."""

    name: str
    how: str
    changed: Callable[[Pixels], Pixels]
    jpeg_quality: int | None = None

    def encoded(self, pixels: Pixels) -> bytes:
        """Return the file of the changed picture; `pixels` is uint8 (H, W, 3), RGB."""
        image, file = Image.fromarray(self.changed(pixels)), io.BytesIO()
        if self.jpeg_quality is None:
            image.save(file, "PNG", compress_level=1)
        else:
            image.save(file, "JPEG", quality=self.jpeg_quality)
        return file.getvalue()


def reduced(pixels: Pixels) -> Pixels:
    """Reduce the longest side to 24 pixels; a picture that is as small already stays as it is."""
    height, width, _ = pixels.shape
    scale = _SMALL_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def unchanged(pixels: Pixels) -> Pixels:
    """Leave the pixels to what encodes them."""
    return pixels


def loosened(pixels: Pixels) -> Pixels:
    """Lay the picture in the middle of a canvas of 1.2 times its sides, its edges going on outwards."""
    height, width, _ = pixels.shape
    more_down, more_across = round(_LOOSER * height), round(_LOOSER * width)
    down = more_down // 2, more_down - more_down // 2
    across = more_across // 2, more_across - more_across // 2
    return np.pad(pixels, (down, across, (0, 0)), mode="edge")


def turned(pixels: Pixels) -> Pixels:
    """Turn the picture by 15 degrees anticlockwise about its middle, its edges going on into the corners."""
    height, width, _ = pixels.shape
    cosine, sine = math.cos(math.radians(_DEGREES)), math.sin(math.radians(_DEGREES))
    down = _margin(cosine * height + sine * width - height)
    across = _margin(cosine * width + sine * height - width)
    framed = np.pad(pixels, ((down, down), (across, across), (0, 0)), mode="edge")
    image = Image.fromarray(framed).rotate(_DEGREES, Image.Resampling.BILINEAR)
    return np.asarray(image)[down : down + height, across : across + width]


def lightened(pixels: Pixels) -> Pixels:
    """Raise every value to the power 0.5 of its share of 255, which makes the picture lighter."""
    curve: Pixels = (255 * (np.arange(256) / 255) ** _GAMMA).round().astype(np.uint8)
    return curve[pixels]


def _margin(excess: float) -> int:
    """Return how far what is turned reaches over one edge, and a pixel for the interpolation."""
    return max(0, math.ceil(excess / 2)) + 1


CHANGES = (
    Change(f"reduced to {_SMALL_SIDE} pixels", "the longest side; what is smaller stays as it is", reduced),
    Change(f"JPEG of quality {_JPEG_QUALITY}", "as Pillow saves it", unchanged, _JPEG_QUALITY),
    Change(
        f"{100 * _LOOSER:g} % looser",
        f"in the middle of a canvas of {1 + _LOOSER:g} times its sides, the edge pixels repeated outwards",
        loosened,
    ),
    Change(
        f"turned by {_DEGREES:g}°",
        "anticlockwise at the same size, the edge pixels repeated into the corners",
        turned,
    ),
    Change(
        f"gamma {_GAMMA:g}",
        f"which is lighter: every value becomes 255 · (value / 255) ^ {_GAMMA:g}",
        lightened,
    ),
)
