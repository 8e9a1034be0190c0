"""Make the study of a bundle that was evaluated on pictures; of its training only the manifest is known."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bundle_evaluation import Evaluation
from trainer.report.study import Study, StudyPictures
from worker.config import Limits
from worker.inference.decode import Pixels, decode_photo
from worker.inference.manifest import Metric
from worker.inference.preprocess import resize_to_input
from worker.paths import format_path

_SAMPLES = 24


def make_evaluation_study(
    evaluation: Evaluation,
    number: int,
    data: Path,
    metrics: tuple[Metric, ...],
    command: str,
    limits: Limits,
    *,
    with_pictures: bool,
) -> Study:
    """Return the study of one of the evaluation's bundles, the one at position `number`."""
    evaluated = evaluation.bundles[number]
    manifest = evaluated.bundle.manifest
    return Study(
        title=f"{manifest.name} on {format_path(Path(data.name))}",
        classes=evaluation.bundles[0].bundle.manifest.classes,
        command=command,
        fingerprint=evaluation.fingerprint,
        about_counts=(
            f"{len(evaluation.paths)} tested; the bundle was trained on {manifest.training_data.pictures}"
        ),
        about_test=f"{describe_data(evaluation, data)} {describe_overlap(evaluation, number)}",
        temperature=manifest.calibration.temperature,
        validation=None,
        test=evaluated.predictions,
        metrics=metrics,
        epochs=(),
        best_epoch=None,
        pictures=_choose_pictures(evaluation, number, limits) if with_pictures else None,
    )


def describe_data(evaluation: Evaluation, data: Path) -> str:
    """Say where the pictures come from."""
    split = f"the {evaluation.split} split of " if evaluation.split else ""
    return f"The test pictures are all that could be read in {split}{format_path(Path(data.name))}."


def describe_overlap(evaluation: Evaluation, number: int) -> str:
    """Say whether a bundle was trained on the pictures."""
    manifest = evaluation.bundles[number].bundle.manifest
    if manifest.training_data.fingerprint == evaluation.fingerprint:
        return f"{manifest.name} was trained on these very pictures: expect lower accuracy on new ones."
    return f"If {manifest.name} was trained on some of them, expect lower accuracy on new ones."


def _choose_pictures(evaluation: Evaluation, number: int, limits: Limits) -> StudyPictures:
    predictions = evaluation.bundles[number].predictions
    load = partial(_load_pictures, evaluation, number, limits)
    samples = np.random.default_rng(0).permutation(len(evaluation.paths))[:_SAMPLES]
    return StudyPictures(
        samples=load(samples),
        sample_labels=predictions.labels[samples],
        about_samples="Test pictures, each with its label.",
        augmented=None,
        load_test=load,
        test_names=tuple(format_path(Path(path.name)) for path in evaluation.paths),
        explain=None,
    )


def _load_pictures(evaluation: Evaluation, number: int, limits: Limits, indices: NDArray[np.int64]) -> Pixels:
    """Decode pictures at the size of a scene classifier's input: uint8 (B, height, width, 1 or 3)."""
    manifest = evaluation.bundles[number].bundle.manifest
    spec = manifest.networks[-1].input  # a bundle's scene classifiers come last
    pixels = []
    for index in indices:
        # Safe outside of a child process: a moment ago, one decoded this very file within the limits.
        data = evaluation.paths[index].read_bytes()
        picture = decode_photo(data, max_pixels=limits.max_pixels, max_side=manifest.max_side)
        pixels.append(resize_to_input(picture.pixels, spec))
    channels = 3 if spec.colour == "rgb" else 1
    return np.array(pixels, np.uint8).reshape(-1, spec.height, spec.width, channels)
