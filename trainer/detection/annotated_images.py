"""The pictures that a detector learns from and is measured on, with what is known of the faces in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data.class_folders import ClassFile
from trainer.data.images import DecodedFile, UnreadableFile, check_readable, read_images
from trainer.detection.boxes import Annotations, make_no_boxes
from worker.inference.decode import Pixels

Annotate = Callable[[Pixels], Annotations]
"""Takes a picture, uint8 (H, W, 3), RGB."""


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """A picture, uint8 (H, W, 3), and what is known of it."""

    pixels: Pixels
    annotations: Annotations


def read_annotated_images(
    files: Sequence[ClassFile],
    max_side: int,
    max_pixels: int,
    annotate: Annotate,
    say: Callable[[str], None],
) -> list[AnnotatedImage]:
    """Read pictures in their order and annotate them; what cannot be read is named and left out.

    Raises ConfigError where that is most of them.
    """

    def get_pixels(image: DecodedFile) -> Pixels:
        return image.picture.pixels

    images: list[AnnotatedImage] = []
    unreadable: list[UnreadableFile] = []
    for pixels in read_images(files, get_pixels, max_pixels=max_pixels, max_side=max_side):
        if isinstance(pixels, UnreadableFile):
            unreadable.append(pixels)
            say(f"left out {pixels}")
        else:
            # Here, not in the reader's threads: a teacher's network serves one thread at a time.
            images.append(AnnotatedImage(pixels, annotate(pixels)))
    check_readable(unreadable, len(files))
    return images


def annotate_whole_image(pixels: Pixels) -> Annotations:
    """Annotate a picture that is one face from edge to edge."""
    height, width = pixels.shape[:2]
    face = np.array([[width / 2, height / 2, max(width, height)]], np.float32)
    return Annotations(face, make_no_boxes())
