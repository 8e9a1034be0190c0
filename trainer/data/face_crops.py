"""Crop the faces of photos, each as the worker would read it, into class folders of pictures of faces."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from trainer.data.class_folders import ClassFile, Split
from trainer.data.destinations import assign_destinations
from trainer.data.images import DecodedFile, UnreadableFile, read_images
from worker.inference.decode import Picture, Pixels
from worker.inference.detector import Detection, crop_face
from worker.inference.prediction import Prediction
from worker.paths import NAME_MAX

CROP_SIDE = 96
"""Pixels of a crop's longer side, at most: no network of moodsort's own reads more of a face."""

_ENDING = "-{}.png"
_LONGEST_ENDING = len(" (99999)-999.png")
"""Bytes that a name's ending has at most where the name is taken already."""


class FaceDetector(Protocol):
    """What detects the faces in a picture."""

    def detect(self, pixels: Pixels) -> tuple[Detection, ...]:
        """Detect faces in a picture, uint8 (H, W, 3), the largest first."""


class FaceClassifier(Protocol):
    """What predicts the label of a face, to tell whether its folder may be the wrong one."""

    def predict(self, picture: Picture) -> Prediction:
        """Predict the label of the picture of a face."""


@dataclass(frozen=True, slots=True)
class CropTools:
    """How a thread gets a detector and a face classifier of its own; None where no face is filtered out.

    `max_side` is the longest side of the pictures that the detector looks at.
    """

    load_detector: Callable[[], FaceDetector]
    max_side: int
    load_classifier: Callable[[], FaceClassifier] | None = None


@dataclass(frozen=True, slots=True)
class CropOptions:
    """Which faces are cropped.

    Of those whose side has `min_size` pixels or more the `max_faces` largest; where a picture has no such
    face and `whole_pictures` says so, the picture itself if it is no larger than a crop. In `filtered_splits`
    those are left out to whose label the face classifier gives a probability under `min_probability`.
    """

    min_size: int
    max_faces: int
    whole_pictures: bool
    min_probability: float
    filtered_splits: frozenset[Split | None]


@dataclass(frozen=True, slots=True)
class CropResult:
    """What came of one photo: faces `detected`, crops `written`, `filtered` out, and taken `whole`."""

    file: ClassFile
    detected: int
    written: int
    filtered: int
    whole: int


def write_face_crops(
    files: Sequence[ClassFile],
    folders: Sequence[Path],
    out: Path,
    tools: CropTools,
    options: CropOptions,
    max_pixels: int,
) -> Iterator[CropResult | UnreadableFile]:
    """Write the faces of each file below `out` as split/label/NAME-K.png; yield what came of it, in order.

    Raises OSError where the disk refuses, and BundleError where a detector or classifier cannot be loaded.
    """
    paths = assign_destinations(((file, file.split) for file in files), folders, _shorten_stem)
    stems = {file: out / path for file, path in zip(files, paths, strict=True)}
    thread_tools = _ThreadTools(tools)

    def write_crops(image: DecodedFile) -> CropResult:
        picture, stem = image.picture, stems[image.file]
        faces = _crop_faces(picture.pixels, thread_tools.detector, options)
        is_whole = options.whole_pictures and not faces and _is_small(picture)
        crops = [picture.pixels] if is_whole else faces
        is_grey = not np.ptp(picture.pixels, axis=2).any()
        written = 0
        for number, crop in enumerate(crops, start=1):
            if not _is_mislabeled(crop, image.file, thread_tools.classifier, options):
                path = stem.with_name(stem.name + _ENDING.format(number))
                _write(crop[..., 0] if is_grey else crop, path)
                written += 1
        return CropResult(
            image.file, len(faces), written, len(crops) - written, whole=written if is_whole else 0
        )

    return read_images(files, write_crops, max_pixels=max_pixels, max_side=tools.max_side)


class _ThreadTools(threading.local):
    """A thread's own tools: `__init__` runs again in each thread that asks for one, as LiteRT needs it."""

    def __init__(self, tools: CropTools) -> None:
        self.detector = tools.load_detector()
        self.classifier = tools.load_classifier() if tools.load_classifier is not None else None


def _shorten_stem(name: str) -> str:
    """Return a name without its extension, with room for what the crops' names end in."""
    stem = os.fsencode(os.path.splitext(name)[0])
    return stem[: NAME_MAX - _LONGEST_ENDING].decode("utf-8", "ignore") or "unnamed"


def _crop_faces(pixels: Pixels, detector: FaceDetector, options: CropOptions) -> list[Pixels]:
    detections = [detection for detection in detector.detect(pixels) if detection.side >= options.min_size]
    detections.sort(key=lambda detection: -detection.side)
    return [crop_face(pixels, detection) for detection in detections[: options.max_faces]]


def _is_small(picture: Picture) -> bool:
    return max(picture.width, picture.height) <= CROP_SIDE


def _is_mislabeled(
    crop: Pixels, file: ClassFile, classifier: FaceClassifier | None, options: CropOptions
) -> bool:
    if classifier is None or file.split not in options.filtered_splits:
        return False
    height, width, _ = crop.shape
    probabilities = classifier.predict(Picture(crop, width, height)).probabilities
    return probabilities[file.label] < options.min_probability


def _write(crop: Pixels, path: Path) -> None:
    image = Image.fromarray(crop)
    # Without reducing_gap Pillow averages all pixels, so that small faces keep their detail.
    image.thumbnail((CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG")
