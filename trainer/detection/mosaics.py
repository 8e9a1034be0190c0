"""Make what a finder learns from: photos at all sizes and places, and pictures that are faces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile
from trainer.data.images import DecodedFile, UnreadableFile, read_images
from trainer.detection.boxes import Annotations, Boxes, compute_visible_shares, make_no_boxes
from trainer.detection.targets import make_targets
from worker.inference.decode import Pixels

_FACE_PICTURES = 0.2
"""The share of canvases that show pictures which are faces, rather than a photo."""

_BY_FACE = 0.6
"""The share of photos that are scaled so that one of their faces gets a drawn size."""

_SMALLEST = 9.0
_LARGEST = 0.95
"""Of the drawn sizes: in pixels of the canvas, and as a share of its side."""

_ZOOM = (0.6, 1.5)
"""Of photos that are not scaled by a face: their longest side in sides of the canvas."""

_LEAST_LONG = 0.55
_MOST_ENLARGED = 4.0
"""A photo is not made smaller than so many sides of the canvas, and not larger than so many times itself."""

_TURNED = 0.3
_TURN = 12.0
"""Share of canvases that are turned, and the standard deviation in degrees."""

_LEAST_VISIBLE = 0.6
_SOME_VISIBLE = 0.15
"""A face counts where this much of it is on the canvas; less is doubtful, and still less is nothing."""

_TOO_SMALL = 7.0
"""Pixels of the canvas under which a face is doubtful."""

_GREY = (128, 128, 128)
"""What `fitting.fit` puts beside a letterboxed picture."""

_GREYED = 0.25
_COMPRESSED = 0.2
_QUALITY = (15, 70)
_CURVE = (0.5, 2.0)
_CONTRAST = (0.6, 1.3)


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """A picture, uint8 (H, W, 3), and what is known of it."""

    pixels: Pixels
    marks: Annotations


def read_annotated_images(
    files: Sequence[ClassFile],
    max_side: int,
    max_pixels: int,
    mark: Callable[[Pixels], Annotations],
    say: Callable[[str], None],
) -> list[AnnotatedImage]:
    """Read and mark pictures; what cannot be read is named and left out."""

    def get_pixels(image: DecodedFile) -> Pixels:
        return image.picture.pixels

    pictures = []
    for result in read_images(files, get_pixels, max_pixels=max_pixels, max_side=max_side):
        if isinstance(result, UnreadableFile):
            say(f"left out {result}")
        else:
            # Here and not in the reader's threads: a teacher is not made for several.
            pictures.append(AnnotatedImage(result, mark(result)))
    return pictures


def annotate_whole_image(pixels: Pixels) -> Annotations:
    """Mark a picture that is one face from edge to edge."""
    height, width = pixels.shape[:2]
    return Annotations(np.array([[width / 2, height / 2, max(width, height)]], np.float32), make_no_boxes())


class Mosaics:
    """Draws what a finder is shown: canvas number N of a seed is always the same."""

    def __init__(
        self, photos: Sequence[AnnotatedImage], faces: Sequence[AnnotatedImage], side: int, seed: int
    ) -> None:
        self._photos = photos
        self._faces = faces
        self._side = side
        self._seed = seed
        self._with_faces = [shown for shown in photos if len(shown.marks.faces)]

    def batch(self, number: int, size: int) -> tuple[Pixels, NDArray[np.float32]]:
        """Draw uint8 (size, side, side, 3) and what the map should be, float32 (size, cells, cells, 6)."""
        drawn = [self.canvas(number * size + place) for place in range(size)]
        wanted = [make_targets(shown.marks, self._side) for shown in drawn]
        return np.stack([shown.pixels for shown in drawn]), np.stack(wanted)

    def canvas(self, number: int) -> AnnotatedImage:
        """Draw one canvas."""
        draw = np.random.default_rng((self._seed, number))
        if self._faces and draw.random() < _FACE_PICTURES:
            placed = self._face_pictures(draw)
        else:
            placed = self._photo(draw)
        return AnnotatedImage(_jitter_colors(placed.pixels, draw), placed.marks)

    def _photo(self, draw: np.random.Generator) -> AnnotatedImage:
        by_face = bool(self._with_faces) and draw.random() < _BY_FACE
        pool = self._with_faces if by_face else self._photos
        shown = pool[int(draw.integers(len(pool)))]
        height, width = shown.pixels.shape[:2]
        if by_face:
            x, y, side = shown.marks.faces[draw.integers(len(shown.marks.faces))]
            wanted = np.exp(draw.uniform(np.log(_SMALLEST), np.log(_LARGEST * self._side)))
            scale = self._clipped(wanted / side, shown)
            free = max(0.0, self._side - scale * side) / 2
            to = self._side / 2 + draw.uniform(-free, free, 2)
            return self._placed(shown, scale, (x, y), to, draw)
        scale = self._clipped(self._side / max(height, width) * draw.uniform(*_ZOOM), shown)
        free = np.abs(np.array([width, height]) * scale - self._side) / 2
        to = self._side / 2 + draw.uniform(-1, 1, 2) * free
        return self._placed(shown, scale, (width / 2, height / 2), to, draw)

    def _clipped(self, scale: float, shown: AnnotatedImage) -> float:
        least = _LEAST_LONG * self._side / max(shown.pixels.shape[:2])
        return float(min(max(scale, least), max(_MOST_ENLARGED, least)))

    def _face_pictures(self, draw: np.random.Generator) -> AnnotatedImage:
        """Fill the canvas with one face, or with a grid of faces of one size."""
        rows = int(draw.choice([1, 1, 2, 3, 5, 8]))
        tile = self._side / rows
        canvas = AnnotatedImage(
            np.full((self._side, self._side, 3), _GREY, np.uint8),
            Annotations(make_no_boxes(), make_no_boxes()),
        )
        if rows == 1:
            face = self._face(draw)
            scale = tile / max(face.pixels.shape[:2]) * draw.uniform(0.75, 1.2)
            middle = face.pixels.shape[1] / 2, face.pixels.shape[0] / 2
            free = abs(tile - scale * max(face.pixels.shape[:2])) / 2
            return self._placed(face, scale, middle, tile / 2 + draw.uniform(-free, free, 2), draw)
        found = []
        for row in range(rows):
            for column in range(rows):
                if draw.random() < 0.3:
                    continue
                pixels = self._face(draw).pixels
                side = int(tile * draw.uniform(0.6, 1.0))
                left, top = (int(place * tile + draw.uniform(0, tile - side)) for place in (column, row))
                canvas.pixels[top : top + side, left : left + side] = _resize(pixels, (side, side))
                found.append((left + side / 2, top + side / 2, side))
        marked = np.array(found, np.float32).reshape(-1, 3)
        return AnnotatedImage(canvas.pixels, _filter_annotations(marked, make_no_boxes(), self._side))

    def _face(self, draw: np.random.Generator) -> AnnotatedImage:
        return self._faces[int(draw.integers(len(self._faces)))]

    def _placed(
        self,
        shown: AnnotatedImage,
        scale: float,
        middle: tuple[float, float],
        to: NDArray[np.float64],
        draw: np.random.Generator,
    ) -> AnnotatedImage:
        """Show a picture on the canvas so that its point `middle` comes to the point `to`, perhaps turned."""
        pixels = shown.pixels
        mirrored = draw.random() < 0.5
        angle = np.deg2rad(draw.normal(0, _TURN)) if draw.random() < _TURNED else 0.0
        # A bilinear warp leaves pixels out where it shrinks: what is shrunk much is averaged before.
        shrunk = min(1.0, 1.5 * scale)
        if shrunk < 1:
            size = tuple(max(1, round(side * shrunk)) for side in pixels.shape[1::-1])
            pixels = _resize(pixels, size)
        across = -scale if mirrored else scale
        turn = np.array(
            [
                [across * np.cos(angle), -scale * np.sin(angle)],
                [across * np.sin(angle), scale * np.cos(angle)],
            ]
        )
        shift = to - turn @ np.array(middle)
        border = cv2.BORDER_REPLICATE if draw.random() < 0.2 else cv2.BORDER_CONSTANT
        shade = _GREY if draw.random() < 0.85 else tuple(int(value) for value in draw.integers(0, 256, 3))
        # Pixel centres lie at halves, warpAffine's at whole numbers.
        on_pixels = np.concatenate(
            [turn / shrunk, (shift + turn @ np.full(2, 0.5 / shrunk) - 0.5)[:, None]], axis=1
        )
        canvas: Any = cv2.warpAffine(
            pixels,
            on_pixels,
            (self._side, self._side),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
            borderValue=shade,
        )
        faces, doubtful = (
            np.concatenate([each[:, :2] @ turn.T + shift, each[:, 2:] * scale], axis=1).astype(np.float32)
            for each in (shown.marks.faces, shown.marks.doubtful)
        )
        return AnnotatedImage(canvas, _filter_annotations(faces, doubtful, self._side))


def _filter_annotations(faces: Boxes, doubtful: Boxes, side: int) -> Annotations:
    """Sort out what is still to be seen on the canvas."""
    visible = compute_visible_shares(faces, side, side)
    inside = ((faces[:, :2] >= 0) & (faces[:, :2] < side)).all(axis=1)
    counts = (visible >= _LEAST_VISIBLE) & inside & (faces[:, 2] >= _TOO_SMALL)
    hinted = ~counts & (visible >= _SOME_VISIBLE)
    return Annotations(faces[counts], np.concatenate([faces[hinted], doubtful]))


def _resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    resized: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    found: Pixels = resized
    return found


def _jitter_colors(pixels: Pixels, draw: np.random.Generator) -> Pixels:
    """Change light, contrast and colour, and compress some."""
    tones = np.arange(256) / 255.0
    gamma = np.exp(draw.uniform(*np.log(_CURVE)))
    contrast = draw.uniform(*_CONTRAST)
    bright = draw.uniform(-0.15, 0.15)
    curve = np.clip((tones**gamma - 0.5) * contrast + 0.5 + bright, 0, 1)
    tint = draw.uniform(0.9, 1.1, 3)
    table = np.clip(curve[:, None] * tint * 255, 0, 255).astype(np.uint8)[None]
    changed: Any = cv2.LUT(pixels, table)
    if draw.random() < _GREYED:
        changed = cv2.cvtColor(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if draw.random() < _COMPRESSED:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(*_QUALITY))]
        changed = cv2.imdecode(cv2.imencode(".jpg", changed, quality)[1], cv2.IMREAD_COLOR)
    return np.ascontiguousarray(changed)
