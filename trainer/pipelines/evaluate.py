"""Evaluate bundles on images whose classes are known."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.fingerprint import fingerprint_data
from trainer.data.near_duplicates import group_near_duplicates
from trainer.evaluation.bundle_evaluation import (
    BundleEvaluation,
    Evaluation,
    SkippedFile,
    collect_predictions,
)
from trainer.evaluation.bundle_task import BundlesTask, ImagePredictions
from trainer.evaluation.metrics import LabeledPredictions
from worker.config import Limits
from worker.errors import ConfigError, Reason
from worker.inference.bundle import Bundle, load_bundle
from worker.paths import format_path
from worker.pool.batch import run_batch
from worker.pool.protocol import Completed, Delayed, Gone, Refused, Task

OnFile = Callable[[SkippedFile | None], None]
"""Called for each file, in their order: with None, or with why the file is skipped."""


@dataclass(frozen=True, slots=True)
class FilePredictions:
    """The predictions for each file that could be read, in order, and the files that were skipped.

    `hashes` are the SHA-256 of the files, in hex; `groups`, int64 (N,), numbers their groups of
    near-duplicates.
    """

    files: tuple[ClassFile, ...]
    hashes: tuple[str, ...]
    images: tuple[ImagePredictions, ...]
    groups: NDArray[np.int64]
    skipped: tuple[SkippedFile, ...]

    def collect(self, bundle: Bundle, number: int, classes: tuple[str, ...]) -> LabeledPredictions:
        """Return the predictions at position `number` of every image, which are the bundle's, as arrays."""
        predictions = [image.predictions[number] for image in self.images]
        labels = np.array([classes.index(file.label) for file in self.files])
        return collect_predictions(bundle, predictions, classes, labels, self.groups)


def evaluate_bundles(
    folders: Sequence[Path], data: Path, limits: Limits, on_file: OnFile, say: Callable[[str], None]
) -> Evaluation:
    """Predict the label of every image below the data's class folders with every bundle, as the worker does.

    Of a folder with splits, the test split is evaluated, or else the validation split. Raises ConfigError
    where the bundles have different classes, the data lacks one of them, or no image can be read, and
    BundleError where a bundle cannot be loaded.
    """
    bundles = [load_bundle(folder) for folder in folders]
    classes = _get_common_classes(bundles)
    files, split = choose_files(data, bundles[0], say)
    task = BundlesTask(tuple(folders))
    predicted = predict_files(task, files, data, limits, os.cpu_count() or 1, on_file)
    evaluations = [
        BundleEvaluation(bundle, predicted.collect(bundle, number, classes))
        for number, bundle in enumerate(bundles)
    ]
    return Evaluation(
        paths=tuple(file.path for file in predicted.files),
        split=split,
        fingerprint=fingerprint_data(predicted.hashes, [file.label for file in predicted.files]),
        skipped=predicted.skipped,
        bundles=tuple(evaluations),
    )


def predict_files(
    task: Task[ImagePredictions],
    files: Sequence[ClassFile],
    data: Path,
    limits: Limits,
    processes: int,
    on_file: OnFile,
) -> FilePredictions:
    """Run a task on files of the data in child processes, which a hostile file may kill.

    Raises ConfigError where no file can be read, BundleError where the task cannot be loaded.
    """
    read_files: list[ClassFile] = []
    completed: list[Completed[ImagePredictions]] = []
    skipped: list[SkippedFile] = []
    # Links are followed here, because `dataset split` makes them; a child process opens none.
    paths = [file.path.resolve() for file in files]
    results = run_batch(task, paths, limits, processes)
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Completed):
            read_files.append(file)
            completed.append(result)
            on_file(None)
        else:
            skipped.append(_describe_skipped(file.path, result))
            on_file(skipped[-1])
    if not completed:
        raise ConfigError(
            f"{format_path(data)}: none of its {len(files)} files could be read; name other pictures"
        )
    hashes = tuple(result.file.sha256 for result in completed)
    images = tuple(result.result for result in completed)
    return FilePredictions(tuple(read_files), hashes, images, _group_images(images, hashes), tuple(skipped))


def choose_files(
    data: Path, bundle: Bundle, say: Callable[[str], None]
) -> tuple[list[ClassFile], Split | None]:
    """Return the files of the test split, else of the validation split, else of a folder without splits.

    Folders that are no class of the bundle, such as the worker's inbox, are named and left out. Raises
    ConfigError where there is no file of one of the classes.
    """
    files_by_class = find_classes((data,))
    classes = bundle.manifest.classes
    if others := [format_path(Path(label)) for label in files_by_class if label not in classes]:
        say(f"left out {', '.join(others)}: not classes of the bundle")
    files = [file for label, files in files_by_class.items() if label in classes for file in files]
    splits = {file.split for file in files}
    split = next((split for split in (Split.TEST, Split.VALID) if split in splits), None)
    files = [file for file in files if split is None or file.split is split]
    _check_classes(files, data, bundle)
    return files, split


def _get_common_classes(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """Return the classes of the first bundle. Raises ConfigError where another has others."""
    first = bundles[0]
    for bundle in bundles[1:]:
        if set(bundle.manifest.classes) != set(first.manifest.classes):
            raise ConfigError(
                f"{format_path(bundle.folder)}: knows {', '.join(bundle.manifest.classes)}, but "
                f"{format_path(first.folder)} knows {', '.join(first.manifest.classes)}; compare bundles of "
                "the same classes"
            )
    return first.manifest.classes


def _check_classes(files: Sequence[ClassFile], data: Path, bundle: Bundle) -> None:
    labels = {file.label for file in files}
    if missing := [name for name in bundle.manifest.classes if name not in labels]:
        raise ConfigError(
            f"{format_path(data)}: has no pictures of {', '.join(missing)}, but {format_path(bundle.folder)} "
            f"knows {', '.join(bundle.manifest.classes)}; name a folder with one folder for each of these"
        )


def _group_images(images: Sequence[ImagePredictions], hashes: Sequence[str]) -> NDArray[np.int64]:
    bits, mirror_bits = (
        np.frombuffer(b"".join(hash_bytes), np.uint64).reshape(len(images), -1)
        for hash_bytes in ([image.bits for image in images], [image.mirror_bits for image in images])
    )
    return group_near_duplicates(bits, mirror_bits, hashes)


def _describe_skipped(path: Path, result: Refused | Gone | Delayed) -> SkippedFile:
    match result:
        case Refused(_, _, reason, detail):
            return SkippedFile(path, reason, detail)
        case Delayed(_, detail):
            return SkippedFile(path, Reason.UNREADABLE, detail)
        case Gone():
            return SkippedFile(path, Reason.UNREADABLE, "it is no regular file, or it has gone")
