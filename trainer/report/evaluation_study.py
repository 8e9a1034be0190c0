"""Make the study of a bundle that was tried on pictures, as far as a bundle without its training tells."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.bundle_evaluation import Evaluation
from trainer.report.study import Study, StudyPictures
from worker.inference.bundle import Metric
from worker.inference.decode import Pixels, decode_photo
from worker.inference.preprocess import resize_to_input
from worker.paths import format_path

_SAMPLES = 24

_MAX_PIXELS = 250_000_000


def make_evaluation_study(
    trials: Evaluation, data: Path, metrics: tuple[Metric, ...], command: str, *, with_pictures: bool
) -> Study:
    """Return the study of the first bundle of the trials."""
    trial = trials.bundles[0]
    manifest = trial.bundle.manifest
    return Study(
        title=f"{manifest.name} on {format_path(Path(data.name))}",
        classes=manifest.classes,
        command=command,
        fingerprint=trials.fingerprint,
        training_pictures=manifest.training_data.pictures,
        about_test=_describe_test(trials, data),
        temperature=manifest.calibration.temperature,
        validation=None,
        test=trial.predictions,
        metrics=metrics,
        epochs=(),
        best_epoch=None,
        pictures=_choose_pictures(trials) if with_pictures else None,
    )


def _describe_test(trials: Evaluation, data: Path) -> str:
    manifest = trials.bundles[0].bundle.manifest
    if manifest.training_data.fingerprint == trials.fingerprint:
        return "These are the very pictures that the bundle was trained on: it will do worse on new ones."
    part = f"the {trials.split} part of " if trials.split else ""
    return (
        f"The test pictures are all that could be read in {part}{format_path(Path(data.name))}. "
        "Where the bundle was trained on some of them, it will do worse on new ones."
    )


def _choose_pictures(trials: Evaluation) -> StudyPictures:
    answers = trials.bundles[0].predictions
    chosen = np.random.default_rng(0).permutation(len(trials.paths))[:_SAMPLES]
    return StudyPictures(
        samples=_read_pictures(trials, chosen),
        sample_labels=answers.labels[chosen],
        augmented=None,
        test=partial(_read_pictures, trials),
        test_names=tuple(format_path(Path(path.name)) for path in trials.paths),
        explain=None,
    )


def _read_pictures(trials: Evaluation, places: NDArray[np.int64]) -> Pixels:
    # They were all judged a moment ago, by a process of their own: none of them ends this one.
    manifest = trials.bundles[0].bundle.manifest
    spec = manifest.networks[-1].input  # a scene classifier's
    pictures = [
        decode_photo(
            trials.paths[place].read_bytes(),
            max_pixels=_MAX_PIXELS,
            max_side=manifest.max_side,
        )
        for place in places
    ]
    channels = 3 if spec.colour == "rgb" else 1
    pixels = [resize_to_input(picture.pixels, spec) for picture in pictures]
    return np.array(pixels, np.uint8).reshape(-1, spec.height, spec.width, channels)
