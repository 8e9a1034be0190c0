"""What bundles predict for images whose classes are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import Split
from trainer.evaluation.metrics import LabeledPredictions
from worker.errors import Reason
from worker.inference.bundle import Bundle
from worker.inference.fusion import softmax
from worker.inference.prediction import Prediction


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file without predictions: a reason code and a sentence."""

    path: Path
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class BundleEvaluation:
    """What one bundle predicts for every image that could be read."""

    bundle: Bundle
    predictions: LabeledPredictions


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The images that bundles were evaluated on, in one order, and the files that were skipped.

    `fingerprint` is that of the data, computed as for a manifest. `split` is the one that was evaluated of a
    folder with splits, None for a folder without.
    """

    paths: tuple[Path, ...]
    split: Split | None
    fingerprint: str
    skipped: tuple[SkippedFile, ...]
    bundles: tuple[BundleEvaluation, ...]

    def name_bundles(self) -> tuple[str, ...]:
        """Return a name for each bundle, by which people can tell them apart."""
        manifests = [evaluated.bundle.manifest for evaluated in self.bundles]
        for names in (
            tuple(manifest.name for manifest in manifests),
            tuple(f"{manifest.name} {manifest.version}" for manifest in manifests),
        ):
            if len(set(names)) == len(names):
                return names
        return tuple(f"{name} ({number})" for number, name in enumerate(names, start=1))


def collect_predictions(
    bundle: Bundle,
    predictions: Sequence[Prediction],
    classes: tuple[str, ...],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> LabeledPredictions:
    """Turn a bundle's predictions into arrays whose columns are in the order of `classes`.

    `labels` and `groups` are int64 (N,).
    """
    probabilities = np.array(
        [[prediction.probabilities[name] for name in classes] for prediction in predictions]
    )
    # A prediction has no logits. These differ from the network's by one constant per image, which softmax
    # removes; the smallest positive float keeps the logarithm of 0 finite.
    calibration = bundle.manifest.calibration
    log_probabilities = np.log(np.maximum(probabilities, np.finfo(float).tiny))
    logits = calibration.temperature * (log_probabilities - np.array(calibration.biases))
    return LabeledPredictions(
        probabilities=probabilities,
        uncalibrated=softmax(logits),
        predicted=np.array([classes.index(prediction.label) for prediction in predictions]),
        labels=labels,
        groups=groups,
    )
