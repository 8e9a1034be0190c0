"""Evaluate bundles on images whose classes are known."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

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
from worker.config import Limits
from worker.errors import ConfigError, Reason
from worker.inference.bundle import Bundle, load_bundle
from worker.paths import format_path
from worker.pool.batch import run_batch
from worker.pool.protocol import Completed, Delayed, Gone, Refused


def evaluate_bundles(
    folders: Sequence[Path], data: Path, limits: Limits, on_file: Callable[[SkippedFile | None], None]
) -> Evaluation:
    """Predict the label of every image below the data's class folders with every bundle, as the worker does.

    Of a folder that is split the test split is taken, or else the validation split. `on_file` is told of each
    file: None, or why it is skipped. Raises ConfigError where the bundles' classes and the data's are not the
    same or no image can be read, BundleError where a bundle cannot be loaded.
    """
    bundles = [load_bundle(folder) for folder in folders]
    files, split = choose_files(data)
    classes = bundles[0].manifest.classes
    for bundle in bundles:
        check_classes(bundle, {file.label for file in files}, data)
    images: list[Completed[ImagePredictions]] = []
    read: list[ClassFile] = []
    skipped: list[SkippedFile] = []
    # Links are followed here: `dataset split` makes them. The processes never open one.
    paths = [file.path.resolve() for file in files]
    results = run_batch(BundlesTask(tuple(folders)), paths, limits, os.cpu_count() or 1)
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Completed):
            images.append(result)
            read.append(file)
            on_file(None)
        else:
            skipped.append(describe_skipped(file.path, result))
            on_file(skipped[-1])
    if not images:
        raise ConfigError(
            f"{format_path(data)}: none of its {len(files)} files could be read; name other pictures"
        )
    hashes = [image.file.sha256 for image in images]
    groups = group_near_duplicates(
        np.stack([image.result.bits for image in images]),
        np.stack([image.result.mirror_bits for image in images]),
        hashes,
    )
    labels = np.array([classes.index(file.label) for file in read])
    evaluations = []
    for number, bundle in enumerate(bundles):
        predictions = [image.result.predictions[number] for image in images]
        evaluations.append(
            BundleEvaluation(bundle, collect_predictions(bundle, predictions, classes, labels, groups))
        )
    return Evaluation(
        paths=tuple(file.path for file in read),
        split=split,
        fingerprint=fingerprint_data(hashes, [file.label for file in read]),
        skipped=tuple(skipped),
        bundles=tuple(evaluations),
    )


def describe_skipped(path: Path, result: Refused | Gone | Delayed) -> SkippedFile:
    """Return why a file has no result."""
    match result:
        case Refused(_, _, reason, detail):
            return SkippedFile(path, reason, detail)
        case Delayed(_, detail):
            return SkippedFile(path, Reason.UNREADABLE, detail)
        case Gone():
            return SkippedFile(path, Reason.UNREADABLE, "it is no regular file, or it has gone")


def choose_files(data: Path) -> tuple[list[ClassFile], Split | None]:
    """Return the files of the test split, of validation where there is none, or of a folder without splits."""
    files = [file for of_class in find_classes((data,)).values() for file in of_class]
    splits = {file.split for file in files}
    split = next((split for split in (Split.TEST, Split.VALID) if split in splits), None)
    return [file for file in files if split is None or file.split is split], split


def check_classes(bundle: Bundle, classes: set[str], data: Path) -> None:
    """Raise ConfigError where the data's classes are not the bundle's."""
    known = bundle.manifest.classes
    if classes != set(known):
        raise ConfigError(
            f"{format_path(data)}: has the classes {', '.join(sorted(classes))}, but "
            f"{format_path(bundle.folder)} knows {', '.join(sorted(known))}; name a folder with one folder "
            "for each of these"
        )
