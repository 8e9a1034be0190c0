"""Build a bundle from folders of pictures: the whole way, step by step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.atomic_directory import check_place, prepared_folder
from trainer.data.dataset import Dataset, read_dataset
from trainer.data.near_duplicates import near_duplicate_groups
from trainer.data.splits import Positions, Splits, divided, leakages
from trainer.evaluation.calibration import fitted_temperature
from trainer.evaluation.metrics import Answers, answers_from_logits, measured
from trainer.export.bundle_files import (
    Findings,
    Networks,
    Pictures,
    calibration_positions,
    keep_smallest,
    write_bundle,
)
from trainer.models.classifiers import reading_both_ways
from trainer.report import write_report
from trainer.report.training_study import study_of_training
from trainer.training.checkpoint import discard_training
from trainer.training.configuration import Recipe
from trainer.training.failures import OutOfTime
from trainer.training.progress import Progress
from trainer.training.trainer import Trained, train_network
from worker.inference.bundle import Manifest, TrainingData, load_bundle
from worker.inference.predictor import Judge

TEST_SET = "held-out test split"

_CLOSING_SECONDS = 30.0
_CLOSING_SHARE = 0.2
"""Of a time budget, what measuring and exporting may take: so many seconds, at most such a share."""


def build_bundle(recipe: Recipe, progress: Progress) -> Manifest:
    """Read, divide, train, calibrate, measure and write; return the manifest of the bundle now in place.

    Raises ConfigError for folders that cannot be trained on or a place that is taken, Diverged where the
    loss is lost, OutOfTime where the time budget ends before anything is learnt, CheckpointLost where the
    disk fills while it learns, BundleError where the bundle cannot be written or the worker answers
    otherwise than the network does.
    """
    started = time.monotonic()
    check_place(recipe.out)
    dataset = read_dataset(recipe, progress.say)
    groups = near_duplicate_groups(dataset.bits, dataset.mirrored_bits, dataset.hashes)
    for leakage in leakages(dataset.parts, groups):
        progress.say(f"leakage: {leakage}")
    splits = divided(dataset, groups, recipe.held_out, recipe.seed, recipe.leakage_limit)
    progress.say(_described(dataset, splits, distinct=int(groups.max()) + 1))
    trained = train_network(recipe, dataset, splits, progress, _seconds_left(recipe, started))
    with prepared_folder(recipe.out) as draft:
        manifest = _written(draft, recipe, _Data(dataset, splits, groups), trained, progress.say)
        Judge(load_bundle(draft)).self_test()
    discard_training(recipe.out)
    progress.say(f"kept epoch {trained.best.number}; wrote {recipe.out}, version {manifest.version}")
    return manifest


@dataclass(frozen=True, slots=True)
class _Data:
    """Pictures, their parts, and for each the number of its group of near-duplicates, int64 (N,)."""

    dataset: Dataset
    splits: Splits
    groups: NDArray[np.int64]

    def answers(self, logits: NDArray[np.float32], places: Positions, temperature: float) -> Answers:
        """Hold logits of some of the pictures, float32 (n, classes), against their labels."""
        return answers_from_logits(logits, self.dataset.labels[places], temperature, self.groups[places])


def _written(
    draft: Path, recipe: Recipe, data: _Data, trained: Trained, say: Callable[[str], None]
) -> Manifest:
    """Convert, calibrate, measure and describe; write it all into the folder."""
    dataset, splits = data.dataset, data.splits
    networks, pictures = _networks(recipe, trained), _pictures(dataset, splits)
    # What is measured is what is shipped: the converted network, run as the worker runs it.
    kept = keep_smallest(draft, networks.judging, recipe, dataset.classes, pictures, say)
    temperature = fitted_temperature(kept.validation, pictures.labels)
    chosen_by = data.answers(kept.validation, splits.validation, temperature)
    answers = data.answers(kept.logits(dataset.pixels[splits.test]), splits.test, temperature)
    metrics = measured(answers, dataset.classes, TEST_SET, recipe.seed)
    learnt_from = TrainingData(dataset.fingerprint(), len(dataset.labels))
    findings = Findings(dataset.classes, temperature, learnt_from, metrics)
    manifest = write_bundle(draft, networks, recipe, findings, kept, say)
    study = study_of_training(recipe, dataset, splits, trained, temperature, (chosen_by, answers), metrics)
    write_report(draft / "report", study)
    return manifest


def _networks(recipe: Recipe, trained: Trained) -> Networks:
    """Have it read both ways when it judges, unless it learnt without mirrored pictures."""
    learnt = trained.network
    return Networks(learnt, judging=reading_both_ways(learnt) if recipe.method.augmented else learnt)


def _seconds_left(recipe: Recipe, started: float) -> float | None:
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


def _described(dataset: Dataset, splits: Splits, distinct: int) -> str:
    counts = ", ".join(f"{dataset.count(label)} {name}" for label, name in enumerate(dataset.classes))
    return (
        f"read {len(dataset.labels)} pictures ({counts}), {distinct} of them different, "
        f"{len(dataset.unread)} left out; "
        f"{len(splits.training)} train, {len(splits.validation)} choose, {len(splits.test)} test"
    )


def _pictures(dataset: Dataset, splits: Splits) -> Pictures:
    shown = calibration_positions(splits.training)
    validation = splits.validation
    return Pictures(dataset.pixels[shown], dataset.pixels[validation], dataset.labels[validation])
