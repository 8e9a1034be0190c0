"""Train a finder of faces from photos, a teacher and pictures of faces: the whole way, step by step."""

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from trainer.data.atomic_directory import prepare_directory
from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.detection.boxes import Annotations
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
from trainer.detection.mosaics import AnnotatedImage, Mosaics, annotate_whole_image, read_annotated_images
from trainer.detection.teacher import Teacher
from trainer.export.golden import write_golden
from trainer.export.litert import convert
from trainer.export.variants import Variant
from trainer.models.detector_network import resize_detector
from trainer.pipelines.detector_training import DetectorTrainingConfig, run_detector_training
from trainer.training.checkpoint import discard_training
from trainer.training.progress import Progress
from worker.errors import ConfigError
from worker.fileio import hash_file
from worker.inference.bundle import Golden, InputSpec, NetworkSpec, OutputSpec, TrainingData
from worker.inference.decode import Pixels
from worker.inference.detector import Detection
from worker.inference.preprocess import resize_to_input
from worker.paths import format_path

VALIDATION_SET = "photos held out for validation"

_LIBRARIES = ("ai-edge-litert", "keras", "numpy", "opencv-python-headless", "pillow", "tensorflow")

_CANVASES_EACH = 1.25
"""Canvases an epoch for each photo: those that show pictures of faces come on top."""

_BATCH = 32
_CALIBRATION = 128
_MARGIN = 0.01
"""How much of F3 a smaller conversion may lose."""


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What is asked for: photos and pictures of faces by folder, the teacher's file, and how to train.

    `side` is that of the square canvases which it learns from, `reads` of what it reads when it is done: the
    same photo is larger there, and smaller faces are found.
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


def train_detector(
    config: DetectorConfig, progress: Progress, mark: Callable[[Pixels], Annotations] | None = None
) -> DetectorManifest:
    """Read, mark, train, convert, measure and write; return the manifest of the finder now in place.

    `mark` says where faces are in uint8 (H, W, 3), in place of the config's teacher.
    Raises ConfigError where there is nothing to learn from, Diverged where the loss is lost, CheckpointLost
    and BundleError where the disk refuses.
    """
    training, validation = _read_photos(config, mark or Teacher(config.teacher).marks, progress.say)
    faces = _read_faces(config, progress.say)
    fingerprint = _fingerprint([*training, *faces])
    recipe = DetectorTrainingConfig(
        out=config.out,
        side=config.train_size,
        epochs=config.epochs,
        steps=max(1, round(_CANVASES_EACH * len(training) / _BATCH)),
        seed=config.seed,
        threads=config.threads,
        fingerprint=fingerprint,
    )
    trained = run_detector_training(
        recipe, Mosaics(training, faces, config.train_size, config.seed), progress
    )
    spec = InputSpec(config.input_size, config.input_size, "rgb", "letterbox")
    network = NetworkSpec("scene", (OutputSpec("heatmap", 0.0),), NETWORK_FILE, "", spec, _NO_GOLDEN)
    data = TrainingData(fingerprint, len(training) + len(faces))
    with prepare_directory(config.out) as draft:
        blank = DetectorManifest(
            network,
            config.max_side,
            0.5,
            data,
            (),
            {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
            config.command,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        manifest = _keep_smallest(
            draft, resize_detector(trained, config.input_size), blank, training, validation, progress.say
        )
        trained.save(draft / KERAS_FILE)
        write_detector_manifest(draft, manifest)
    discard_training(config.out)
    return manifest


_NO_GOLDEN = Golden("golden.npz", "")


def _list_files(folders: Sequence[Path]) -> list[ClassFile]:
    return [file for of_class in find_classes(folders).values() for file in of_class]


def _read_photos(
    config: DetectorConfig, mark: Callable[[Pixels], Annotations], say: Callable[[str], None]
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    files = _list_files(config.photos)
    given = {file.split for file in files}
    if not {Split.TRAIN, Split.VALID} <= given:
        raise ConfigError(
            "the photos are not divided into train and valid; `moodsort dataset split` divides them"
        )
    parts = []
    for part in (Split.TRAIN, Split.VALID):
        split_files = [file for file in files if file.split is part]
        say(f"reading and marking {len(split_files)} photos of {part}/")
        shown = read_annotated_images(split_files, config.max_side, config.max_pixels, mark, say)
        count = sum(len(each.marks.faces) for each in shown)
        if not count:
            raise ConfigError(f"the teacher finds no face in the photos of {part}/; name photos of people")
        say(f"the teacher finds {count} faces")
        parts.append(shown)
    return parts[0], parts[1]


def _read_faces(config: DetectorConfig, say: Callable[[str], None]) -> list[AnnotatedImage]:
    files = [file for file in _list_files(config.faces) if file.split in (None, Split.TRAIN)]
    faces = read_annotated_images(files, config.train_size, config.max_pixels, annotate_whole_image, say)
    if not faces:
        named = ", ".join(map(format_path, config.faces))
        raise ConfigError(f"{named}: no picture to learn from; name pictures that are one face each")
    return faces


def _keep_smallest(
    draft: Path,
    network: keras.Model,
    blank: DetectorManifest,
    training: Sequence[AnnotatedImage],
    validation: Sequence[AnnotatedImage],
    say: Callable[[str], None],
) -> DetectorManifest:
    """Leave the smallest conversion in the folder whose F3 is within the margin, and describe it."""
    spec = blank.network.input
    shown = np.stack(
        [resize_to_input(each.pixels, spec) for each in training[:: max(1, len(training) // _CALIBRATION)]]
    )
    made: list[tuple[int, DetectionCounts, Variant, bytes]] = []
    path = draft / NETWORK_FILE
    for variant, content in convert(network, shown, say).items():
        path.write_bytes(content)
        described = replace(blank.network, sha256=hash_file(path))
        finder = TrainedDetector(draft, replace(blank, network=described))
        tally = choose_best(count_at_thresholds([_detect(finder, each) for each in validation]))
        say(f"{variant}, {len(content):,} bytes: {tally}")
        made.append((len(content), tally, variant, content))
    best = max(tally.f3 for _, tally, _, _ in made)
    size, tally, variant, content = min(
        (each for each in made if each[1].f3 >= best - _MARGIN), key=lambda each: each[0]
    )
    say(f"kept {variant}, {size:,} bytes")
    path.write_bytes(content)
    described = replace(blank.network, sha256=hash_file(path))
    finder = TrainedDetector(draft, replace(blank, network=described))
    described = write_golden(draft / _NO_GOLDEN.file, finder.network, seed=0)
    return replace(
        blank,
        network=described,
        score_threshold=tally.least_score,
        metrics=tally.metrics(VALIDATION_SET),
    )


def _detect(finder: TrainedDetector, shown: AnnotatedImage) -> DetectionResult:
    boxes = finder.detect(shown.pixels, score_threshold=0.05)
    squares = np.array([_make_square(box) for box in boxes], np.float32).reshape(-1, 3)
    return DetectionResult(squares, np.array([box.score for box in boxes]), shown.marks)


def _make_square(box: Detection) -> tuple[float, float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.side


def _fingerprint(pictures: Sequence[AnnotatedImage]) -> str:
    """Return a SHA-256 over the pixels that are learnt from, whatever their config."""
    hashes = sorted(hashlib.sha256(_bytes(each.pixels)).hexdigest() for each in pictures)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _bytes(pixels: Pixels) -> bytes:
    return repr(pixels.shape).encode() + pixels.tobytes()
