"""Predict pictures whose classes are known as the worker does, and changed versions of them as well."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from tests.bench.accuracy_changes import CHANGES, Change
from trainer.cli.messages import say, show_bar
from trainer.data.class_folders import ClassFile, Split
from trainer.data.near_duplicates import hash_differences
from trainer.evaluation.bundle_evaluation import SkippedFile
from trainer.evaluation.bundle_task import ImagePredictions
from trainer.evaluation.metrics import LabeledPredictions
from trainer.pipelines.evaluate import choose_files, predict_files
from worker.config import Limits
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.decode import decode_photo
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor
from worker.inference.warmup import warm_up_decoders
from worker.paths import format_path

_FULL_SIZE = 1 << 31
"""A longest side in pixels that no picture has to be reduced to."""


@dataclass(frozen=True, slots=True)
class FolderPredictions:
    """What a bundle predicts for the pictures of one folder that could be read.

    `versions` are the predictions for the pictures as they are, then for each changed version, all in one
    order; `predictions` are those for the pictures as they are, with their faces. `split` is the one that was
    evaluated of a folder with splits. `files` counts all the files, of which only a sample may have been
    predicted.
    """

    data: Path
    split: Split | None
    files: int
    versions: tuple[LabeledPredictions, ...]
    predictions: tuple[Prediction, ...]
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True, slots=True)
class VersionsTask:
    """Predict an image as it is and changed in each of the ways that have these names."""

    folder: Path
    change_names: tuple[str, ...]

    def load(self, limits: Limits) -> Callable[[bytes], ImagePredictions]:
        """Load the bundle and run its self-test. Raises BundleError."""
        bundle = load_bundle(self.folder)
        predictor = Predictor(bundle)
        predictor.self_test()
        warm_up_decoders()
        changes = [change for change in CHANGES if change.name in self.change_names]
        max_side = bundle.manifest.max_side

        def predict(data: bytes) -> ImagePredictions:
            original = decode_photo(data, max_pixels=limits.max_pixels, max_side=max_side)
            predictions = [predictor.predict(original)]
            if changes:
                # Changed at full size, as photos differ before anybody reduces them.
                full = decode_photo(data, max_pixels=limits.max_pixels, max_side=_FULL_SIZE)
            for change in changes:
                version = change.encode(full.pixels)
                changed = decode_photo(version, max_pixels=limits.max_pixels, max_side=max_side)
                predictions.append(predictor.predict(changed))
            bits, mirror_bits = hash_differences(original.pixels)
            return ImagePredictions(bits.tobytes(), mirror_bits.tobytes(), tuple(predictions))

        return predict

    def make_decoder(self) -> Callable[[bytes], ImagePredictions]:
        """Return the function that reads the predictions."""
        return msgspec.msgpack.Decoder(ImagePredictions).decode


def predict_folder(
    bundle: Bundle, data: Path, changes: tuple[Change, ...], limit: int | None, processes: int
) -> FolderPredictions:
    """Predict the pictures that `moodsort evaluate` would, or a sample of `limit` of them.

    Raises ConfigError where the classes are not the bundle's or nothing can be read.
    """
    files, split = choose_files(data, bundle, say)
    sample = draw_sample(files, limit)
    say(
        f"predicting {len(sample)} pictures of {format_path(data)}"
        + (", each as it is and changed" if changes else "")
    )
    limits = Limits()
    # A child process may take its time for each version.
    limits = replace(limits, decode_seconds=limits.decode_seconds * (1 + len(changes)))
    with show_bar(data.name, len(sample)) as advance:

        def report_file(skipped: SkippedFile | None) -> None:
            if skipped is not None:
                say(f"skipped {format_path(skipped.path)}: {skipped.detail} ({skipped.reason})")
            advance()

        task = VersionsTask(bundle.folder, tuple(change.name for change in changes))
        predicted = predict_files(task, sample, data, limits, processes, report_file)
    classes = bundle.manifest.classes
    return FolderPredictions(
        data=data,
        split=split,
        files=len(files),
        versions=tuple(predicted.collect(bundle, number, classes) for number in range(1 + len(changes))),
        predictions=tuple(image.predictions[0] for image in predicted.images),
        skipped=predicted.skipped,
    )


def draw_sample(files: Sequence[ClassFile], limit: int | None) -> list[ClassFile]:
    """Return all files, or `limit` of them drawn at random, in their order and the same each time."""
    if limit is None or limit >= len(files):
        return list(files)
    return [files[index] for index in sorted(random.Random(0).sample(range(len(files)), limit))]
