"""Draw the mosaics that a detector is trained on: photos at all sizes and positions, and grids of faces."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.detection.annotated_images import AnnotatedImage
from trainer.detection.boxes import Annotations, Boxes, compute_visible_shares, make_no_boxes
from trainer.detection.targets import make_targets
from worker.inference.decode import Pixels

_FACES_SHARE = 0.2
"""The share of mosaics that are made of pictures of faces, rather than of a photo."""

_BY_FACE_SHARE = 0.6
"""The share of photos that are scaled so that one of their faces gets a random size."""

_MIN_RANDOM_SIDE = 9.0
_MAX_RANDOM_SHARE = 0.95
"""Of these random sizes: in pixels of the mosaic, and as a share of its side."""

_ZOOM = (0.6, 1.5)
"""Of photos that are not scaled by a face: their longest side in sides of the mosaic."""

_MIN_LONG_SIDE = 0.55
_MAX_SCALE = 4.0
"""A photo is not made smaller than this many sides of the mosaic, nor larger than this many times itself."""

_GRID_ROWS = (1, 1, 2, 3, 5, 8)
_EMPTY_TILE_SHARE = 0.3
_FACE_ZOOM = (0.75, 1.2)
"""Of a single face: its longest side in sides of the mosaic."""
_TILE_SHARE = (0.6, 1.0)
"""Of a face in a grid: its side in sides of its tile."""

_FLIP_SHARE = 0.5
_ROTATION_SHARE = 0.3
_ROTATION_DEGREES = 12.0
"""The share of mosaics that are rotated, and the standard deviation of the angle."""

_MIN_VISIBLE = 0.6
_MIN_IGNORED_VISIBLE = 0.15
"""A face counts where this share of it is on the mosaic; less is an ignore region, still less nothing."""

_MIN_FACE_SIDE = 7.0
"""Pixels of the mosaic under which a face is an ignore region."""

_GREY = (128, 128, 128)
"""What `resize_to_input` puts beside a letterboxed picture."""
_GREY_BORDER_SHARE = 0.85
_REPLICATED_BORDER_SHARE = 0.2

_GREYSCALE_SHARE = 0.25
_JPEG_SHARE = 0.2
_JPEG_QUALITY = (15, 70)
_GAMMA = (0.5, 2.0)
_CONTRAST = (0.6, 1.3)
_MAX_BRIGHTNESS = 0.15
_TINT = (0.9, 1.1)

_PREFETCHED_BATCHES = 4

_Point = tuple[float, float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _MosaicPosition:
    """Where a picture lies: enlarged by `scale`, its point `anchor` at the point `target` of the mosaic."""

    scale: float
    anchor: _Point
    target: _Point


class Mosaics:
    """Random mosaics of photos and pictures of faces; mosaic N of a seed is always the same."""

    def __init__(
        self, photos: Sequence[AnnotatedImage], faces: Sequence[AnnotatedImage], side: int, seed: int
    ) -> None:
        self._photos = photos
        self._faces = faces
        self._side = side
        self._seed = seed
        self._photos_with_faces = [photo for photo in photos if len(photo.annotations.faces)]

    def iterate_batches(self, first: int, size: int) -> Iterator[tuple[Pixels, NDArray[np.float32]]]:
        """Yield batches without end from number `first` on; a thread draws them ahead."""
        pool = ThreadPoolExecutor(1)
        try:
            ahead = range(first, first + _PREFETCHED_BATCHES)
            futures = deque(pool.submit(self.draw_batch, number, size) for number in ahead)
            for number in count(first + _PREFETCHED_BATCHES):
                futures.append(pool.submit(self.draw_batch, number, size))
                yield futures.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def draw_batch(self, number: int, size: int) -> tuple[Pixels, NDArray[np.float32]]:
        """Draw uint8 (size, side, side, 3) and its targets, float32 (size, side / 8, side / 8, 6)."""
        mosaics = [self.draw(number * size + index) for index in range(size)]
        targets = [make_targets(mosaic.annotations, self._side) for mosaic in mosaics]
        return np.stack([mosaic.pixels for mosaic in mosaics]), np.stack(targets)

    def draw(self, number: int) -> AnnotatedImage:
        """Draw one mosaic."""
        draw = np.random.default_rng((self._seed, number))
        if self._faces and draw.random() < _FACES_SHARE:
            mosaic = self._draw_faces(draw)
        else:
            mosaic = self._draw_photo(draw)
        return AnnotatedImage(_jitter_colors(mosaic.pixels, draw), mosaic.annotations)

    def _draw_photo(self, draw: np.random.Generator) -> AnnotatedImage:
        by_face = bool(self._photos_with_faces) and draw.random() < _BY_FACE_SHARE
        photos = self._photos_with_faces if by_face else self._photos
        photo = photos[int(draw.integers(len(photos)))]
        choose_position = self._place_by_face if by_face else self._place_by_frame
        return self._warp(photo, choose_position(photo, draw), draw)

    def _place_by_face(self, photo: AnnotatedImage, draw: np.random.Generator) -> _MosaicPosition:
        """Give one of the photo's faces a random size and position."""
        faces = photo.annotations.faces
        x, y, side = faces[draw.integers(len(faces))]
        # Uniform in its logarithm: as many faces of 10 to 20 pixels as of 100 to 200.
        log_sides = np.log(_MIN_RANDOM_SIDE), np.log(_MAX_RANDOM_SHARE * self._side)
        new_side = np.exp(draw.uniform(*log_sides))
        scale = self._clip_scale(new_side / side, photo)
        room = max(0.0, self._side - scale * side) / 2
        return _MosaicPosition(scale, (x, y), self._side / 2 + draw.uniform(-room, room, 2))

    def _place_by_frame(self, photo: AnnotatedImage, draw: np.random.Generator) -> _MosaicPosition:
        """Show as much of the photo as there is room for."""
        height, width = photo.pixels.shape[:2]
        scale = self._clip_scale(self._side / max(height, width) * draw.uniform(*_ZOOM), photo)
        room = np.abs(np.array([width, height]) * scale - self._side) / 2
        return _MosaicPosition(scale, (width / 2, height / 2), self._side / 2 + draw.uniform(-1, 1, 2) * room)

    def _clip_scale(self, scale: float, photo: AnnotatedImage) -> float:
        smallest = _MIN_LONG_SIDE * self._side / max(photo.pixels.shape[:2])
        return float(min(max(scale, smallest), max(_MAX_SCALE, smallest)))

    def _draw_faces(self, draw: np.random.Generator) -> AnnotatedImage:
        """Fill the mosaic with one face, or with a grid of faces of about one size."""
        rows = int(draw.choice(_GRID_ROWS))
        if rows > 1:
            return self._draw_grid(rows, draw)
        face = self._choose_face(draw)
        height, width = face.pixels.shape[:2]
        scale = self._side / max(height, width) * draw.uniform(*_FACE_ZOOM)
        room = abs(self._side - scale * max(height, width)) / 2
        target = self._side / 2 + draw.uniform(-room, room, 2)
        return self._warp(face, _MosaicPosition(scale, (width / 2, height / 2), target), draw)

    def _draw_grid(self, rows: int, draw: np.random.Generator) -> AnnotatedImage:
        tile = self._side / rows
        pixels = np.full((self._side, self._side, 3), _GREY, np.uint8)
        faces = []
        for row in range(rows):
            for column in range(rows):
                if draw.random() < _EMPTY_TILE_SHARE:
                    continue
                face = self._choose_face(draw).pixels
                side = int(tile * draw.uniform(*_TILE_SHARE))
                left, top = (int(index * tile + draw.uniform(0, tile - side)) for index in (column, row))
                pixels[top : top + side, left : left + side] = _resize(face, (side, side))
                faces.append((left + side / 2, top + side / 2, side))
        boxes = np.array(faces, np.float32).reshape(-1, 3)
        return AnnotatedImage(pixels, _filter_annotations(boxes, make_no_boxes(), self._side))

    def _choose_face(self, draw: np.random.Generator) -> AnnotatedImage:
        return self._faces[int(draw.integers(len(self._faces)))]

    def _warp(
        self, image: AnnotatedImage, position: _MosaicPosition, draw: np.random.Generator
    ) -> AnnotatedImage:
        """Show a picture on the mosaic, perhaps mirrored and rotated, and its annotations with it."""
        scale = position.scale
        x_scale = -scale if draw.random() < _FLIP_SHARE else scale
        angle = np.deg2rad(draw.normal(0, _ROTATION_DEGREES)) if draw.random() < _ROTATION_SHARE else 0.0
        linear = np.array(
            [
                [x_scale * np.cos(angle), -scale * np.sin(angle)],
                [x_scale * np.sin(angle), scale * np.cos(angle)],
            ]
        )
        shift = position.target - linear @ np.array(position.anchor)
        pixels = _warp_pixels(image.pixels, scale, linear, shift, self._side, draw)
        faces, ignore_regions = (
            np.concatenate([boxes[:, :2] @ linear.T + shift, boxes[:, 2:] * scale], axis=1).astype(np.float32)
            for boxes in (image.annotations.faces, image.annotations.ignore_regions)
        )
        return AnnotatedImage(pixels, _filter_annotations(faces, ignore_regions, self._side))


def _warp_pixels(
    pixels: Pixels,
    scale: float,
    linear: NDArray[np.float64],
    shift: NDArray[np.float64],
    side: int,
    draw: np.random.Generator,
) -> Pixels:
    """Apply an affine map, `linear` (2, 2) and `shift` (2,), to a picture: uint8 (side, side, 3)."""
    # A bilinear warp leaves pixels out where it shrinks: what is shrunk much is averaged before.
    reduction = min(1.0, 1.5 * scale)
    if reduction < 1:
        height, width = pixels.shape[:2]
        pixels = _resize(pixels, (max(1, round(width * reduction)), max(1, round(height * reduction))))
    is_replicated = draw.random() < _REPLICATED_BORDER_SHARE
    is_grey = draw.random() < _GREY_BORDER_SHARE
    colour = _GREY if is_grey else tuple(int(value) for value in draw.integers(0, 256, 3))
    # Pixel centres lie at halves, warpAffine's at whole numbers.
    offset = shift + linear @ np.full(2, 0.5 / reduction) - 0.5
    warped: Any = cv2.warpAffine(
        pixels,
        np.concatenate([linear / reduction, offset[:, None]], axis=1),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if is_replicated else cv2.BORDER_CONSTANT,
        borderValue=colour,
    )
    return np.asarray(warped, np.uint8)


def _filter_annotations(faces: Boxes, ignore_regions: Boxes, side: int) -> Annotations:
    """Keep the faces of which enough is on the mosaic; ignore the regions of those of which little is."""
    visible = compute_visible_shares(faces, side, side)
    is_inside = ((faces[:, :2] >= 0) & (faces[:, :2] < side)).all(axis=1)
    is_face = (visible >= _MIN_VISIBLE) & is_inside & (faces[:, 2] >= _MIN_FACE_SIDE)
    is_ignored = ~is_face & (visible >= _MIN_IGNORED_VISIBLE)
    return Annotations(faces[is_face], np.concatenate([faces[is_ignored], ignore_regions]))


def _resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _jitter_colors(pixels: Pixels, draw: np.random.Generator) -> Pixels:
    """Change brightness, contrast and colour, and compress some."""
    tones = np.arange(256) / 255.0
    gamma = np.exp(draw.uniform(*np.log(_GAMMA)))
    contrast = draw.uniform(*_CONTRAST)
    brightness = draw.uniform(-_MAX_BRIGHTNESS, _MAX_BRIGHTNESS)
    curve = np.clip((tones**gamma - 0.5) * contrast + 0.5 + brightness, 0, 1)
    tint = draw.uniform(*_TINT, 3)
    table = np.clip(curve[:, None] * tint * 255, 0, 255).astype(np.uint8)[None]
    changed: Any = cv2.LUT(pixels, table)
    if draw.random() < _GREYSCALE_SHARE:
        changed = cv2.cvtColor(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if draw.random() < _JPEG_SHARE:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(*_JPEG_QUALITY))]
        # OpenCV takes RGB for BGR on both ways, so that the order comes back as it was.
        changed = cv2.imdecode(cv2.imencode(".jpg", changed, quality)[1], cv2.IMREAD_COLOR)
    return np.ascontiguousarray(changed)
