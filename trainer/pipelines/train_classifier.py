"""Build a bundle from folders of pictures: the whole way, step by step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.atomic_directory import check_output, prepare_directory
from trainer.data.dataset import Dataset, read_dataset
from trainer.data.near_duplicates import group_near_duplicates
from trainer.data.splits import Indices, SplitIndices, choose_splits, measure_leakage
from trainer.evaluation.calibration import fit_temperature
from trainer.evaluation.metrics import LabeledPredictions, compute_metrics, make_predictions
from trainer.export.bundle_files import (
    ExportNetworks,
    ExportPictures,
    TrainingResults,
    choose_representative_dataset,
    keep_smallest,
    write_bundle,
)
from trainer.models.classifiers import add_flip_averaging
from trainer.report import write_report
from trainer.report.training_study import make_training_study
from trainer.training.checkpoint import discard_training
from trainer.training.configuration import TrainingConfig
from trainer.training.failures import OutOfTime
from trainer.training.progress import Progress
from trainer.training.trainer import Trained, train_network
from worker.inference.bundle import Manifest, TrainingData, load_bundle
from worker.inference.predictor import Predictor

TEST_SET = "held-out test split"

_CLOSING_SECONDS = 30.0
_CLOSING_SHARE = 0.2
"""Of a time budget, what measuring and exporting may take: so many seconds, at most such a share."""


def train_classifier(recipe: TrainingConfig, progress: Progress) -> Manifest:
    """Read, divide, train, calibrate, measure and write; return the manifest of the bundle now in place.

    Raises ConfigError for folders that cannot be trained on or a place that is taken, Diverged where the
    loss is lost, OutOfTime where the time budget ends before anything is learnt, CheckpointLost where the
    disk fills while it learns, BundleError where the bundle cannot be written or the worker answers
    otherwise than the network does.
    """
    started = time.monotonic()
    check_output(recipe.out)
    dataset = read_dataset(
        recipe.folders,
        recipe.input,
        max_side=recipe.max_side,
        max_pixels=recipe.max_pixels,
        say=progress.say,
    )
    groups = group_near_duplicates(dataset.bits, dataset.mirror_bits, dataset.hashes)
    for leakage in measure_leakage(dataset.splits, groups):
        progress.say(f"leakage: {leakage}")
    splits = choose_splits(dataset, groups, recipe.held_out, recipe.seed, recipe.leakage_limit)
    progress.say(_describe(dataset, splits, distinct=int(groups.max()) + 1))
    trained = train_network(recipe, dataset, splits, progress, _compute_seconds_left(recipe, started))
    with prepare_directory(recipe.out) as draft:
        manifest = _write(draft, recipe, _Data(dataset, splits, groups), trained, progress.say)
        Predictor(load_bundle(draft)).self_test()
    discard_training(recipe.out)
    progress.say(f"kept epoch {trained.best.number}; wrote {recipe.out}, version {manifest.version}")
    return manifest


@dataclass(frozen=True, slots=True)
class _Data:
    """Pictures, their parts, and for each the number of its group of near-duplicates, int64 (N,)."""

    dataset: Dataset
    splits: SplitIndices
    groups: NDArray[np.int64]

    def predictions(
        self, logits: NDArray[np.float32], places: Indices, temperature: float
    ) -> LabeledPredictions:
        """Hold logits of some of the pictures, float32 (n, classes), against their labels."""
        return make_predictions(logits, self.dataset.labels[places], temperature, self.groups[places])


def _write(
    draft: Path, recipe: TrainingConfig, data: _Data, trained: Trained, say: Callable[[str], None]
) -> Manifest:
    """Convert, calibrate, measure and describe; write it all into the folder."""
    dataset, splits = data.dataset, data.splits
    networks, pictures = _make_export_networks(recipe, trained), _choose_pictures(dataset, splits)
    # What is measured is what is shipped: the converted network, run as the worker runs it.
    kept = keep_smallest(draft, networks.judging, recipe, dataset.classes, pictures, say)
    temperature = fit_temperature(kept.validation, pictures.labels)
    chosen_by = data.predictions(kept.validation, splits.validation, temperature)
    answers = data.predictions(kept.logits(dataset.pixels[splits.test]), splits.test, temperature)
    metrics = compute_metrics(answers, dataset.classes, TEST_SET, recipe.seed)
    learnt_from = TrainingData(dataset.fingerprint(), len(dataset.labels))
    findings = TrainingResults(dataset.classes, temperature, learnt_from, metrics)
    manifest = write_bundle(draft, networks, recipe, findings, kept, say)
    study = make_training_study(recipe, dataset, splits, trained, temperature, (chosen_by, answers), metrics)
    write_report(draft / "report", study)
    return manifest


def _make_export_networks(recipe: TrainingConfig, trained: Trained) -> ExportNetworks:
    """Have it read both ways when it judges, unless it learnt without mirrored pictures."""
    learnt = trained.network
    return ExportNetworks(
        learnt, judging=add_flip_averaging(learnt) if recipe.hyperparameters.augmented else learnt
    )


def _compute_seconds_left(recipe: TrainingConfig, started: float) -> float | None:
    """Return what the time budget leaves for training, None without one. Raises OutOfTime."""
    budget = recipe.time_budget_seconds
    if budget is None:
        return None
    spent = time.monotonic() - started
    left = budget - spent - min(_CLOSING_SECONDS, _CLOSING_SHARE * budget)
    if left <= 0:
        raise OutOfTime(
            f"reading the pictures took {spent:.0f} s of the time budget of {budget:.0f} s, and nothing is "
            f"left to train in; give --time-budget {round(10 * spent) + 60}s or more"
        )
    return left


def _describe(dataset: Dataset, splits: SplitIndices, distinct: int) -> str:
    counts = ", ".join(f"{dataset.count(label)} {name}" for label, name in enumerate(dataset.classes))
    return (
        f"read {len(dataset.labels)} pictures ({counts}), {distinct} of them different, "
        f"{len(dataset.unreadable)} left out; "
        f"{len(splits.training)} train, {len(splits.validation)} choose, {len(splits.test)} test"
    )


def _choose_pictures(dataset: Dataset, splits: SplitIndices) -> ExportPictures:
    shown = choose_representative_dataset(splits.training)
    validation = splits.validation
    return ExportPictures(dataset.pixels[shown], dataset.pixels[validation], dataset.labels[validation])
