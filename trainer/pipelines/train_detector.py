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

from trainer.data.atomic_directory import prepared_folder
from trainer.data.class_folders import ClassFile, Part, find_classes
from trainer.detection.boxes import Marks
from trainer.detection.detection_metrics import Found, Tally, best_tally, tallies
from trainer.detection.detector_folder import (
    KERAS_FILE,
    NETWORK_FILE,
    FinderManifest,
    LoadedFinder,
    write_finder,
)
from trainer.detection.mosaics import Canvases, Shown, read_pictures, whole_face
from trainer.detection.teacher import Teacher
from trainer.export.golden import write_golden
from trainer.export.litert import convert
from trainer.export.variants import Variant
from trainer.models.detector_network import reading
from trainer.pipelines.detector_training import FinderRecipe, train_finder
from trainer.training.checkpoint import discard_training
from trainer.training.progress import Progress
from worker.errors import ConfigError
from worker.inference.bundle import Golden, InputSpec, Stage, TrainingData, file_sha256
from worker.inference.decode import Pixels
from worker.inference.detector import Box
from worker.inference.preprocess import fit
from worker.paths import shown

VALIDATION_SET = "photos held out for validation"

_LIBRARIES = ("ai-edge-litert", "keras", "numpy", "opencv-python-headless", "pillow", "tensorflow")

_CANVASES_EACH = 1.25
"""Canvases an epoch for each photo: those that show pictures of faces come on top."""

_BATCH = 32
_CALIBRATION = 128
_MARGIN = 0.01
"""How much of F3 a smaller conversion may lose."""


@dataclass(frozen=True, slots=True)
class FinderOrder:
    """What is asked for: photos and pictures of faces by folder, the teacher's file, and how to train.

    `side` is that of the square canvases which it learns from, `reads` of what it reads when it is done: the
    same photo is larger there, and smaller faces are found.
    """

    photos: tuple[Path, ...]
    faces: tuple[Path, ...]
    teacher: Path
    out: Path
    side: int
    reads: int
    epochs: int
    seed: int
    threads: int
    working_side: int
    max_pixels: int
    command: str


def build_finder(
    order: FinderOrder, progress: Progress, mark: Callable[[Pixels], Marks] | None = None
) -> FinderManifest:
    """Read, mark, train, convert, measure and write; return the manifest of the finder now in place.

    `mark` says where faces are in uint8 (H, W, 3), in place of the order's teacher.
    Raises ConfigError where there is nothing to learn from, Diverged where the loss is lost, CheckpointLost
    and BundleError where the disk refuses.
    """
    training, validation = _photos(order, mark or Teacher(order.teacher).marks, progress.say)
    faces = _faces(order, progress.say)
    fingerprint = _fingerprint([*training, *faces])
    recipe = FinderRecipe(
        out=order.out,
        side=order.side,
        epochs=order.epochs,
        steps=max(1, round(_CANVASES_EACH * len(training) / _BATCH)),
        seed=order.seed,
        threads=order.threads,
        fingerprint=fingerprint,
    )
    trained = train_finder(recipe, Canvases(training, faces, order.side, order.seed), progress)
    spec = InputSpec(order.reads, order.reads, "rgb", "letterbox")
    stage = Stage("finder", "whole", NETWORK_FILE, "", spec, _NO_GOLDEN)
    data = TrainingData(fingerprint, len(training) + len(faces))
    with prepared_folder(order.out) as draft:
        blank = FinderManifest(
            stage,
            order.working_side,
            0.5,
            data,
            (),
            {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
            order.command,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        manifest = _smallest(draft, reading(trained, order.reads), blank, training, validation, progress.say)
        trained.save(draft / KERAS_FILE)
        write_finder(draft, manifest)
    discard_training(order.out)
    return manifest


_NO_GOLDEN = Golden("golden.npz", "", 0.0)


def _files(folders: Sequence[Path]) -> list[ClassFile]:
    return [file for of_class in find_classes(folders).values() for file in of_class]


def _photos(
    order: FinderOrder, mark: Callable[[Pixels], Marks], say: Callable[[str], None]
) -> tuple[list[Shown], list[Shown]]:
    files = _files(order.photos)
    given = {file.part for file in files}
    if not {Part.TRAINING, Part.VALIDATION} <= given:
        raise ConfigError(
            "the photos are not divided into train and valid; `moodsort dataset split` divides them"
        )
    parts = []
    for part in (Part.TRAINING, Part.VALIDATION):
        paths = [file.path for file in files if file.part is part]
        say(f"reading and marking {len(paths)} photos of {part}/")
        shown = read_pictures(paths, order.working_side, order.max_pixels, mark, say)
        count = sum(len(each.marks.faces) for each in shown)
        if not count:
            raise ConfigError(f"the teacher finds no face in the photos of {part}/; name photos of people")
        say(f"the teacher finds {count} faces")
        parts.append(shown)
    return parts[0], parts[1]


def _faces(order: FinderOrder, say: Callable[[str], None]) -> list[Shown]:
    paths = [file.path for file in _files(order.faces) if file.part in (None, Part.TRAINING)]
    faces = read_pictures(paths, order.side, order.max_pixels, whole_face, say)
    if not faces:
        named = ", ".join(map(shown, order.faces))
        raise ConfigError(f"{named}: no picture to learn from; name pictures that are one face each")
    return faces


def _smallest(
    draft: Path,
    network: keras.Model,
    blank: FinderManifest,
    training: Sequence[Shown],
    validation: Sequence[Shown],
    say: Callable[[str], None],
) -> FinderManifest:
    """Leave the smallest conversion in the folder whose F3 is within the margin, and describe it."""
    spec = blank.stage.input
    shown = np.stack([fit(each.pixels, spec) for each in training[:: max(1, len(training) // _CALIBRATION)]])
    made: list[tuple[int, Tally, Variant, bytes]] = []
    path = draft / NETWORK_FILE
    for variant, content in convert(network, shown, say).items():
        path.write_bytes(content)
        stage = replace(blank.stage, sha256=file_sha256(path))
        finder = LoadedFinder(draft, replace(blank, stage=stage))
        tally = best_tally(tallies([_looked(finder, each) for each in validation]))
        say(f"{variant}, {len(content):,} bytes: {tally}")
        made.append((len(content), tally, variant, content))
    best = max(tally.f3 for _, tally, _, _ in made)
    size, tally, variant, content = min(
        (each for each in made if each[1].f3 >= best - _MARGIN), key=lambda each: each[0]
    )
    say(f"kept {variant}, {size:,} bytes")
    path.write_bytes(content)
    stage = replace(blank.stage, sha256=file_sha256(path))
    finder = LoadedFinder(draft, replace(blank, stage=stage))
    stage = replace(stage, golden=write_golden(draft / _NO_GOLDEN.file, finder.network, seed=0))
    return replace(blank, stage=stage, least_score=tally.least_score, metrics=tally.metrics(VALIDATION_SET))


def _looked(finder: LoadedFinder, shown: Shown) -> Found:
    boxes = finder.find(shown.pixels, least_score=0.05)
    squares = np.array([_square(box) for box in boxes], np.float32).reshape(-1, 3)
    return Found(squares, np.array([box.score for box in boxes]), shown.marks)


def _square(box: Box) -> tuple[float, float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.side


def _fingerprint(pictures: Sequence[Shown]) -> str:
    """Return a SHA-256 over the pixels that are learnt from, whatever their order."""
    hashes = sorted(hashlib.sha256(_bytes(each.pixels)).hexdigest() for each in pictures)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _bytes(pixels: Pixels) -> bytes:
    return repr(pixels.shape).encode() + pixels.tobytes()
