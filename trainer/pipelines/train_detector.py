"""Train a face detector on photos, a teacher and pictures of faces: the whole way, from top to bottom."""

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from trainer.data.atomic_directory import prepare_directory
from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.fingerprint import fingerprint_data, fingerprint_values
from trainer.detection.annotated_images import (
    Annotate,
    AnnotatedImage,
    annotate_whole_image,
    read_annotated_images,
)
from trainer.detection.detection_metrics import (
    DetectionCounts,
    DetectionResult,
    choose_best,
    count_at_thresholds,
)
from trainer.detection.detector_folder import (
    KERAS_FILE,
    NETWORK_FILE,
    DetectorManifest,
    TrainedDetector,
    write_detector_manifest,
)
from trainer.detection.loss import compute_detection_loss
from trainer.detection.mosaics import Mosaics
from trainer.detection.teacher import Teacher
from trainer.export.golden import write_golden
from trainer.export.litert import convert
from trainer.export.variants import Variant
from trainer.models.detector_network import build_detector, resize_detector
from trainer.training.checkpoint import discard_training, fingerprint_run
from trainer.training.hyperparameters import DETECTOR_HYPERPARAMETERS
from trainer.training.progress import Progress
from trainer.training.runtime import configure_tensorflow
from trainer.training.trainer import Trainer, TrainerConfig
from worker.errors import ConfigError
from worker.fileio import hash_file
from worker.inference.decode import Pixels
from worker.inference.detector import Detection
from worker.inference.manifest import Golden, InputSpec, NetworkSpec, OutputSpec, TrainingData
from worker.inference.preprocess import resize_to_input
from worker.paths import format_path

VALIDATION_SET = "photos held out for validation"

_TRAINING_LIBRARIES = ("keras", "numpy", "opencv-python-headless", "tensorflow")
"""Whose versions decide the weights."""

_LIBRARIES = ("ai-edge-litert", *_TRAINING_LIBRARIES, "pillow")

_MOSAICS_PER_PHOTO = 1.25
"""In an epoch: a fifth of the mosaics shows pictures of faces instead of a photo."""

_BATCH_SIZE = 32
_REPRESENTATIVE_PHOTOS = 128
_MARGIN = 0.01
"""How much of F3 a smaller conversion may lose."""

_MIN_THRESHOLD = 0.05
"""Of what is measured: detections of lower scores are counted at no threshold."""

_GOLDEN_FILE = "golden.npz"


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What to train a detector on, and how: folders of photos and of pictures of faces, the teacher's file.

    `train_size` is the side in pixels of the square mosaics that it learns from, `input_size` that of what
    it reads when it is done: where the latter is larger, so are the faces of a photo, and smaller ones are
    detected. `max_side` is the longest side of the photos that the teacher and the trained detector are
    given.
    """

    photos: tuple[Path, ...]
    faces: tuple[Path, ...]
    teacher: Path
    out: Path
    train_size: int
    input_size: int
    epochs: int
    seed: int
    threads: int
    max_side: int
    max_pixels: int
    command: str


@dataclass(frozen=True, slots=True)
class DetectorData:
    """Annotated photos of two splits, and pictures that are one face each."""

    training: list[AnnotatedImage]
    validation: list[AnnotatedImage]
    faces: list[AnnotatedImage]

    def describe(self) -> TrainingData:
        """Fingerprint what is learned from: the pictures and what they are annotated with."""
        images = [*self.training, *self.faces]
        hashes = [_hash_pixels(image.pixels) for image in images]
        return TrainingData(
            fingerprint_data(hashes, list(map(_fingerprint_annotations, images))), len(images)
        )


@dataclass(frozen=True, slots=True)
class _DetectorConversion:
    """One conversion of a detector, and how well it detects at its best score threshold."""

    variant: Variant
    content: bytes
    counts: DetectionCounts


def train_detector(
    config: DetectorConfig, progress: Progress, annotate: Annotate | None = None
) -> DetectorManifest:
    """Read, annotate, train, convert, measure and write; return the manifest of the detector now in place.

    `annotate` stands in for the config's teacher. Raises ConfigError where there is nothing to learn from,
    Diverged when the loss is no longer a number, CheckpointLost and BundleError where the disk refuses.
    """
    data = read_data(config, annotate or Teacher(config.teacher).annotate, progress.say)
    training_data = data.describe()
    configure_tensorflow(config.threads)
    trainer = _make_trainer(config, data, training_data.fingerprint)
    progress.say(f"training a detector, {trainer.count_parameters():,} parameters")
    trained = trainer.fit(progress)
    with prepare_directory(config.out) as draft:
        network = resize_detector(trained.network, config.input_size)
        manifest = _keep_smallest(draft, network, _describe(config, training_data), data, progress.say)
        # At the size of its training: convolutions are the same at every size.
        trained.network.save(draft / KERAS_FILE)
        write_detector_manifest(draft, manifest)
    # Not before the detector is in its place: until then the same command can resume.
    discard_training(config.out)
    return manifest


def read_data(config: DetectorConfig, annotate: Annotate, say: Callable[[str], None]) -> DetectorData:
    """Read and annotate the pictures. Raises ConfigError where there is nothing to learn from."""
    files = _list_files(config.photos)
    if not {Split.TRAIN, Split.VALID} <= {file.split for file in files}:
        raise ConfigError(
            "the photos are not split into train and valid; `moodsort dataset split` splits them"
        )
    return DetectorData(
        _read_photos(Split.TRAIN, files, config, annotate, say),
        _read_photos(Split.VALID, files, config, annotate, say),
        _read_faces(config, say),
    )


def _read_photos(
    split: Split,
    files: Sequence[ClassFile],
    config: DetectorConfig,
    annotate: Annotate,
    say: Callable[[str], None],
) -> list[AnnotatedImage]:
    split_files = [file for file in files if file.split is split]
    say(f"reading and annotating {len(split_files)} photos of {split}/")
    photos = read_annotated_images(split_files, config.max_side, config.max_pixels, annotate, say)
    faces = sum(len(photo.annotations.faces) for photo in photos)
    if not faces:
        raise ConfigError(f"the teacher detects no face in the photos of {split}/; name photos of people")
    say(f"the teacher detects {faces} faces")
    return photos


def _read_faces(config: DetectorConfig, say: Callable[[str], None]) -> list[AnnotatedImage]:
    files = [file for file in _list_files(config.faces) if file.split in (None, Split.TRAIN)]
    faces = read_annotated_images(files, config.train_size, config.max_pixels, annotate_whole_image, say)
    if not faces:
        folders = ", ".join(map(format_path, config.faces))
        raise ConfigError(f"{folders}: no picture can be read; name pictures that are one face each")
    return faces


def _list_files(folders: Sequence[Path]) -> list[ClassFile]:
    return [file for files in find_classes(folders).values() for file in files]


def _hash_pixels(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _fingerprint_annotations(image: AnnotatedImage) -> str:
    annotations = image.annotations
    return fingerprint_values([annotations.faces.tolist(), annotations.ignore_regions.tolist()])


def _make_trainer(config: DetectorConfig, data: DetectorData, data_fingerprint: str) -> Trainer:
    mosaics = Mosaics(data.training, data.faces, config.train_size, config.seed)
    steps_per_epoch = max(1, round(_MOSAICS_PER_PHOTO * len(data.training) / _BATCH_SIZE))
    libraries = {name: version(name) for name in _TRAINING_LIBRARIES}
    fingerprint = fingerprint_run(
        [
            # Without `input_size`: the network gets that size only after its training.
            [config.train_size, config.epochs, steps_per_epoch, config.seed, config.threads],
            data_fingerprint,
            libraries,
        ]
    )
    return Trainer(
        partial(build_detector, config.train_size, config.seed),
        DETECTOR_HYPERPARAMETERS,
        compute_detection_loss,
        partial(mosaics.iterate_batches, size=_BATCH_SIZE),
        TrainerConfig(config.out, config.epochs, steps_per_epoch, fingerprint, score_name="IoU"),
    )


def _describe(config: DetectorConfig, training_data: TrainingData) -> DetectorManifest:
    """Describe the detector, as yet without its network's hash, score threshold and metrics."""
    spec = InputSpec(config.input_size, config.input_size, "rgb", "letterbox")
    return DetectorManifest(
        NetworkSpec("scene", (OutputSpec("heatmap", 0.0),), NETWORK_FILE, "", spec, Golden(_GOLDEN_FILE, "")),
        config.max_side,
        0.5,
        training_data,
        (),
        {"python": platform.python_version()} | {name: version(name) for name in sorted(_LIBRARIES)},
        config.command,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _keep_smallest(
    draft: Path,
    network: keras.Model,
    manifest: DetectorManifest,
    data: DetectorData,
    say: Callable[[str], None],
) -> DetectorManifest:
    """Leave the smallest conversion in the folder whose F3 is within the margin, and describe it."""
    # Evenly spaced, because files lie class by class.
    photos = data.training[:: max(1, len(data.training) // _REPRESENTATIVE_PHOTOS)]
    representative = np.stack([resize_to_input(photo.pixels, manifest.network.input) for photo in photos])
    conversions = []
    for variant, content in convert(network, representative, say).items():
        detector = _load_conversion(draft, content, manifest)
        results = [_detect(detector, photo) for photo in data.validation]
        counts = choose_best(count_at_thresholds(results))
        say(f"{variant}, {len(content):,} bytes: {counts}")
        conversions.append(_DetectorConversion(variant, content, counts))
    best = max(conversion.counts.f3 for conversion in conversions)
    smallest = min(
        (conversion for conversion in conversions if conversion.counts.f3 >= best - _MARGIN),
        key=lambda conversion: len(conversion.content),
    )
    say(f"kept {smallest.variant}, {len(smallest.content):,} bytes")
    detector = _load_conversion(draft, smallest.content, manifest)
    return replace(
        manifest,
        network=write_golden(draft / _GOLDEN_FILE, detector.network, seed=0),
        score_threshold=smallest.counts.score_threshold,
        metrics=smallest.counts.compute_metrics(VALIDATION_SET),
    )


def _load_conversion(draft: Path, content: bytes, manifest: DetectorManifest) -> TrainedDetector:
    path = draft / NETWORK_FILE
    path.write_bytes(content)
    return TrainedDetector(
        draft, replace(manifest, network=replace(manifest.network, sha256=hash_file(path)))
    )


def _detect(detector: TrainedDetector, photo: AnnotatedImage) -> DetectionResult:
    detections = detector.detect(photo.pixels, score_threshold=_MIN_THRESHOLD)
    boxes = np.array([_make_box(detection) for detection in detections], np.float32).reshape(-1, 3)
    scores = np.array([detection.score for detection in detections], np.float64)
    return DetectionResult(boxes, scores, photo.annotations)


def _make_box(detection: Detection) -> tuple[float, float, float]:
    return (detection.left + detection.right) / 2, (detection.top + detection.bottom) / 2, detection.side
