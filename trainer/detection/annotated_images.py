"""The pictures that a detector learns from and is measured on, with what is known of the faces in them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.dataset import read_image
from trainer.detection.boxes import Annotations, make_no_boxes
from worker.errors import BadPhoto
from worker.inference.decode import Pixels
from worker.paths import escape_unprintable, format_path

Annotate = Callable[[Pixels], Annotations]
"""Takes a picture, uint8 (H, W, 3), RGB."""


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """A picture, uint8 (H, W, 3), and what is known of it."""

    pixels: Pixels
    annotations: Annotations


def read_annotated_images(
    paths: Sequence[Path], max_side: int, max_pixels: int, annotate: Annotate, say: Callable[[str], None]
) -> list[AnnotatedImage]:
    """Read pictures in their order and annotate them; what cannot be read is named and left out."""

    def read(path: Path) -> Pixels | BadPhoto:
        try:
            return read_image(path, max_pixels=max_pixels, max_side=max_side)[1].pixels
        except BadPhoto as error:
            return error

    images = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, pixels in zip(paths, pool.map(read, paths), strict=True):
            if isinstance(pixels, BadPhoto):
                say(f"left out {escape_unprintable(format_path(path))}: {pixels.detail}")
            else:
                # Here, not in the threads: a teacher's network serves one thread at a time.
                images.append(AnnotatedImage(pixels, annotate(pixels)))
    return images


def annotate_whole_image(pixels: Pixels) -> Annotations:
    """Annotate a picture that is one face from edge to edge."""
    height, width = pixels.shape[:2]
    face = np.array([[width / 2, height / 2, max(width, height)]], np.float32)
    return Annotations(face, make_no_boxes())
