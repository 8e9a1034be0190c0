"""Make the study of a bundle that was tried on pictures, as far as a bundle without its training tells."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.judging import Limits
from trainer.pipelines.evaluate import Trials
from trainer.report.study import Pictures, Study
from worker.inference.bundle import Metric
from worker.inference.decode import Pixels, read_picture
from worker.inference.preprocess import fit
from worker.paths import shown

_SAMPLES = 24


def study_of_trial(
    trials: Trials, data: Path, metrics: tuple[Metric, ...], command: str, *, with_pictures: bool
) -> Study:
    """Return the study of the first bundle of the trials."""
    trial = trials.trials[0]
    manifest = trial.bundle.manifest
    return Study(
        title=f"{manifest.name} on {shown(Path(data.name))}",
        classes=manifest.classes,
        command=command,
        fingerprint=trials.fingerprint,
        training_pictures=manifest.training_data.pictures,
        about_test=_about_test(trials, data),
        temperature=manifest.calibration.temperature,
        validation=None,
        test=trial.answers,
        metrics=metrics,
        epochs=(),
        best_epoch=None,
        pictures=_pictures(trials) if with_pictures else None,
    )


def _about_test(trials: Trials, data: Path) -> str:
    manifest = trials.trials[0].bundle.manifest
    if manifest.training_data.fingerprint == trials.fingerprint:
        return "These are the very pictures that the bundle was trained on: it will do worse on new ones."
    part = f"the {trials.part} part of " if trials.part else ""
    return (
        f"The test pictures are all that could be read in {part}{shown(Path(data.name))}. "
        "Where the bundle was trained on some of them, it will do worse on new ones."
    )


def _pictures(trials: Trials) -> Pictures:
    answers = trials.trials[0].answers
    chosen = np.random.default_rng(0).permutation(len(trials.paths))[:_SAMPLES]
    return Pictures(
        samples=_read(trials, chosen),
        sample_labels=answers.labels[chosen],
        augmented=None,
        test=partial(_read, trials),
        test_names=tuple(shown(Path(path.name)) for path in trials.paths),
        explain=None,
    )


def _read(trials: Trials, places: NDArray[np.int64]) -> Pixels:
    # They were all judged a moment ago, by a process of their own: none of them ends this one.
    manifest = trials.trials[0].bundle.manifest
    *_, stage = manifest.stages  # the reader of the whole picture
    pictures = [
        read_picture(
            trials.paths[place].read_bytes(),
            max_pixels=Limits().max_pixels,
            working_side=manifest.working_side,
        )
        for place in places
    ]
    channels = 3 if stage.input.colour == "rgb" else 1
    pixels = [fit(picture.pixels, stage.input) for picture in pictures]
    return np.array(pixels, np.uint8).reshape(-1, stage.input.height, stage.input.width, channels)
