"""Build a bundle from folders of pictures: the whole way, step by step."""

import time

from trainer.calibration import fitted_temperature
from trainer.dataset import Dataset, read_dataset
from trainer.evaluation import answers_from_logits, measured
from trainer.export.writing import (
    Findings,
    Networks,
    Pictures,
    calibration_positions,
    keep_smallest,
    write_bundle,
)
from trainer.near_duplicates import near_duplicate_groups
from trainer.networks import reading_both_ways
from trainer.publication import check_place, prepared_folder
from trainer.recipe import Recipe
from trainer.report import write_report
from trainer.report.training import study_of_training
from trainer.splits import Splits, divided, leakages
from trainer.training.checkpoint import discard_training
from trainer.training.course import train_network
from trainer.training.failures import OutOfTime
from trainer.training.progress import Progress
from worker.bundle import Manifest, TrainingData, load_bundle
from worker.classify.judge import Judge

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
    # Pictures are mirrored while it learns, so it may read both ways when it judges.
    judging = reading_both_ways(trained.network) if recipe.method.augmented else trained.network

    with prepared_folder(recipe.out) as draft:
        # What is measured is what is shipped: the converted network, run as the worker runs it.
        pictures = _pictures(dataset, splits)
        kept = keep_smallest(draft, judging, recipe, dataset.classes, pictures, progress.say)
        temperature = fitted_temperature(kept.validation, pictures.labels)
        test = kept.logits(dataset.pixels[splits.test])
        answers = answers_from_logits(test, dataset.labels[splits.test], temperature, groups[splits.test])
        metrics = measured(answers, dataset.classes, TEST_SET, recipe.seed)
        data = TrainingData(dataset.fingerprint(), len(dataset.labels))
        findings = Findings(dataset.classes, temperature, data, metrics)
        networks = Networks(learnt=trained.network, judging=judging)
        manifest = write_bundle(draft, networks, recipe, findings, kept, progress.say)
        chosen_by = answers_from_logits(
            kept.validation, pictures.labels, temperature, groups[splits.validation]
        )
        both = chosen_by, answers
        write_report(
            draft / "report", study_of_training(recipe, dataset, splits, trained, temperature, both, metrics)
        )
        Judge(load_bundle(draft)).self_test()
    discard_training(recipe.out)
    progress.say(f"kept epoch {trained.best.number}; wrote {recipe.out}, version {manifest.version}")
    return manifest


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
