"""Build a bundle from folders of pictures: the whole way, step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.calibration import calibration_error, fitted_temperature
from trainer.dataset import Dataset, read_dataset
from trainer.evaluation import measured
from trainer.export import Findings, write_bundle
from trainer.near_duplicates import near_duplicate_groups
from trainer.publication import check_place, prepared_folder
from trainer.recipe import Recipe
from trainer.splits import Positions, Splits, split_groups
from trainer.training import Epoch, Logits, predict_logits, train_network
from worker.bundle import Manifest, TrainingData, load_bundle
from worker.classify.judge import Judge
from worker.errors import BundleError

TEST_SET = "held-out test split"

_LEAST_AGREEMENT = 0.99
"""The share of validation pictures that the worker has to label as the trained network does."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the steps tell how far they are: sentences, and one record an epoch."""

    say: Callable[[str], None]
    on_epoch: Callable[[Epoch], None]


def build_bundle(recipe: Recipe, progress: Progress) -> Manifest:
    """Read, divide, train, calibrate, measure and write; return the manifest of the bundle now in place.

    Raises ConfigError for folders that cannot be trained on or a place that is taken, Diverged where the
    loss is lost, BundleError where the bundle cannot be written or the worker answers otherwise than
    the network does.
    """
    check_place(recipe.out)
    dataset = read_dataset(recipe, progress.say)
    groups = near_duplicate_groups(dataset.bits, dataset.mirrored_bits, dataset.hashes)
    splits = split_groups(dataset.labels, groups, dataset.classes, recipe.held_out, recipe.seed)
    progress.say(_described(dataset, splits, distinct=int(groups.max()) + 1))
    trained = train_network(recipe, dataset, splits, progress.say, progress.on_epoch)
    network = trained.network

    validation = predict_logits(network, dataset.pixels[splits.validation])
    temperature = fitted_temperature(validation, dataset.labels[splits.validation])
    test = predict_logits(network, dataset.pixels[splits.test])
    metrics = measured(test.argmax(axis=1), dataset.labels[splits.test], dataset.classes, TEST_SET)
    error = calibration_error(test, dataset.labels[splits.test], temperature)
    progress.say(f"temperature {temperature:.2f}, calibration error {error:.3f} on the {TEST_SET}")
    data = TrainingData(dataset.fingerprint(), len(dataset.labels))
    findings = Findings(dataset.classes, temperature, data, metrics)

    with prepared_folder(recipe.out) as draft:
        manifest = write_bundle(draft, network, recipe, findings)
        _check_as_worker(draft, dataset, splits.validation, validation)
    progress.say(f"kept epoch {trained.best.number}; wrote {recipe.out}, version {manifest.version}")
    return manifest


def _described(dataset: Dataset, splits: Splits, distinct: int) -> str:
    counts = ", ".join(f"{dataset.count(label)} {name}" for label, name in enumerate(dataset.classes))
    return (
        f"read {len(dataset.labels)} pictures ({counts}), {distinct} of them different, "
        f"{len(dataset.unread)} left out; "
        f"{len(splits.training)} train, {len(splits.validation)} choose, {len(splits.test)} test"
    )


def _check_as_worker(folder: Path, dataset: Dataset, validation: Positions, expected: Logits) -> None:
    """Load the bundle as a worker does and compare its answers with the network's."""
    judge = Judge(load_bundle(folder))
    judge.self_test()
    found = np.stack([judge.logits(pixels) for pixels in dataset.pixels[validation]])
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    if agreement < _LEAST_AGREEMENT:
        raise BundleError(
            f"{folder}: the exported network agrees with the trained one on {agreement:.1%} of pictures, "
            f"less than {_LEAST_AGREEMENT:.0%}; install the versions that moodsort[train] names"
        )
