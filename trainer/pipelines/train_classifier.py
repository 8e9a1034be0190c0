"""Train a classifier on folders of pictures and make a bundle of it: the whole way, from top to bottom."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.data.atomic_directory import check_output, prepare_directory
from trainer.data.dataset import Dataset, read_dataset
from trainer.data.near_duplicates import group_near_duplicates
from trainer.data.splits import Indices, SplitIndices, choose_splits, measure_leakage
from trainer.evaluation.calibration import fit_temperature
from trainer.evaluation.metrics import LabeledPredictions, compute_metrics, make_predictions
from trainer.export.bundle_files import (
    ExportConfig,
    ExportNetworks,
    ExportPictures,
    TrainingResults,
    choose_representative_dataset,
    write_bundle,
    write_smallest_conversion,
)
from trainer.models.architectures import IMAGENET, MODEL_FILE, NO_WEIGHTS
from trainer.models.classifiers import NetworkPlan, add_flip_tta, build_network, load_network
from trainer.report import write_report
from trainer.report.training_study import make_training_study
from trainer.training.batches import BatchConfig, ClassifierBatches
from trainer.training.checkpoint import discard_training, fingerprint_run
from trainer.training.configuration import TrainingConfig
from trainer.training.defaults import EpochPlan, plan_epochs
from trainer.training.losses import compute_class_weights, make_classification_loss
from trainer.training.progress import Progress
from trainer.training.runtime import configure_tensorflow
from trainer.training.time_limit import Closing, TimeLimit
from trainer.training.trainer import TrainedNetwork, Trainer, TrainerConfig
from trainer.training.validation import make_validation
from worker.fileio import hash_file
from worker.inference.bundle import load_bundle
from worker.inference.manifest import Manifest, TrainingData, make_temperature_calibration
from worker.inference.predictor import Predictor
from worker.paths import format_path

TEST_SET = "held-out test split"

_LIBRARIES = ("keras", "numpy", "tensorflow")
"""Whose versions decide the weights."""

_WITHOUT_EFFECT = (
    "out",
    "name",
    "command",
    "folders",
    "fresh",
    "tensorboard",
    "keep_keras",
    "pictures",
    "start_from",
    "leakage_limit",
    "exports",
    "margin",
)
"""Fields of the config that do not change the weights: with others of these a training can be resumed."""


@dataclass(frozen=True, slots=True)
class _Data:
    """Pictures, their splits, and for each the number of its group of near-duplicates, int64 (N,)."""

    dataset: Dataset
    splits: SplitIndices
    groups: NDArray[np.int64]

    def make_predictions(
        self, logits: NDArray[np.float32], indices: Indices, temperature: float
    ) -> LabeledPredictions:
        """Join logits of some of the pictures, float32 (n, classes), with their labels."""
        calibration = make_temperature_calibration(temperature, len(self.dataset.classes))
        return make_predictions(logits, self.dataset.labels[indices], calibration, self.groups[indices])


def train_classifier(config: TrainingConfig, progress: Progress, started: float) -> Manifest:
    """Read, split, train, calibrate, measure and write; return the manifest of the bundle now in place.

    A time budget counts from `started`, a value of `time.monotonic()`. Raises ConfigError for folders that
    cannot be trained on or an output that is taken, Diverged when the loss is no longer a number,
    CheckpointLost where the disk fills in training, BundleError where the bundle cannot be written or the
    worker predicts otherwise than the network does.
    """
    # First: hours of training must not end at a place that is taken.
    check_output(config.out)
    data = _read_data(config, progress.say)
    configure_tensorflow(config.threads)  # before its first operation
    time_limit = _make_time_limit(config, data.splits, started)
    trainer = make_trainer(config, data.dataset, data.splits, time_limit)
    origin = f"{format_path(config.start_from)} further" if config.start_from else config.network
    pictures = len(data.splits.training)
    progress.say(f"training {origin}, {trainer.count_parameters():,} parameters, on {pictures} pictures")
    trained = trainer.fit(progress)
    with prepare_directory(config.out) as draft:
        manifest = _write(draft, config, data, trained, progress.say)
        # By the worker's own code, before any worker can see the bundle.
        Predictor(load_bundle(draft)).self_test()
    # Not before the bundle is in its place: until then the same command can resume.
    discard_training(config.out)
    progress.say(f"kept epoch {trained.best.number}; wrote {config.out}, version {manifest.version}")
    return manifest


def make_trainer(
    config: TrainingConfig, dataset: Dataset, splits: SplitIndices, time_limit: TimeLimit | None
) -> Trainer:
    """Build the network, and what trains it within the time limit; None is without one."""
    plan = plan_epochs(config, len(splits.training))
    hyperparameters = config.hyperparameters
    batches = ClassifierBatches(
        dataset.pixels,
        dataset.labels,
        splits.training,
        BatchConfig(
            plan.batch_size,
            config.seed,
            hyperparameters.augmented,
            negatives=round(hyperparameters.negative_share * plan.batch_size),
            upside_down=round(hyperparameters.upside_down_share * plan.batch_size),
            threads=config.threads,
        ),
    )
    class_weights = compute_class_weights(
        dataset.labels[splits.training], len(dataset.classes), hyperparameters.class_balance
    )
    return Trainer(
        partial(_build_network, config, len(dataset.classes)),
        hyperparameters,
        make_classification_loss(class_weights, hyperparameters.label_smoothing),
        batches.iterate,
        TrainerConfig(
            out=config.out,
            epochs=plan.epochs,
            steps_per_epoch=batches.steps_per_epoch,
            fingerprint=_fingerprint_training(config, plan, dataset, splits),
            patience=plan.patience,
            time_limit=time_limit,
            fresh=config.fresh,
            tensorboard=config.tensorboard,
        ),
        make_validation(dataset.pixels[splits.validation], dataset.labels[splits.validation]),
    )


def _read_data(config: TrainingConfig, say: Callable[[str], None]) -> _Data:
    dataset = read_dataset(
        config.folders, config.input, max_side=config.max_side, max_pixels=config.max_pixels, say=say
    )
    groups = group_near_duplicates(dataset.bits, dataset.mirror_bits, dataset.hashes)
    for leakage in measure_leakage(dataset.splits, groups):
        say(f"leakage: {leakage}")
    splits = choose_splits(dataset, groups, config.hold_out_share, config.seed, config.leakage_limit)
    counts = ", ".join(f"{dataset.count(label)} {name}" for label, name in enumerate(dataset.classes))
    say(
        f"read {len(dataset.labels)} pictures ({counts}), {int(groups.max()) + 1} of them different, "
        f"{len(dataset.unreadable)} left out; {len(splits.training)} for training, "
        f"{len(splits.validation)} for validation, {len(splits.test)} for the test"
    )
    return _Data(dataset, splits, groups)


def _make_time_limit(config: TrainingConfig, splits: SplitIndices, started: float) -> TimeLimit | None:
    """Return what the time budget leaves for training and what follows it; None without one."""
    if config.time_budget_seconds is None:
        return None
    closing = Closing(
        representative=len(choose_representative_dataset(splits.training)),
        validation=len(splits.validation),
        test=len(splits.test),
        exports=len(config.exports),
        threads=config.threads or os.cpu_count() or 1,
    )
    return TimeLimit(config.time_budget_seconds - (time.monotonic() - started), closing.estimate_seconds)


def _build_network(config: TrainingConfig, classes: int) -> keras.Model:
    plan = NetworkPlan(config.input, classes, config.seed)
    if config.start_from is not None:
        return load_network(config.start_from, plan, new_head=config.new_head)
    return build_network(plan, config.network, config.weights)


def _fingerprint_training(
    config: TrainingConfig, plan: EpochPlan, dataset: Dataset, splits: SplitIndices
) -> str:
    """Return a fingerprint that differs where a training would come to other weights."""
    # `folders`, `start_from` and `leakage_limit` count by what comes of them: pictures, weights, splits.
    options = {name: value for name, value in asdict(config).items() if name not in _WITHOUT_EFFECT}
    indices = [split.tolist() for split in (splits.training, splits.validation)]
    libraries = {name: version(name) for name in _LIBRARIES}
    pictures = list(zip(dataset.hashes, dataset.labels.tolist(), strict=True))
    # By content, not by name: another bundle may be in its place when the training is resumed.
    initial_weights = [hash_file(path) for path in _list_initial_weights(config)]
    return fingerprint_run(
        [options, asdict(plan), initial_weights, dataset.classes, pictures, indices, libraries]
    )


def _list_initial_weights(config: TrainingConfig) -> list[Path]:
    if config.start_from is not None:
        return [config.start_from / MODEL_FILE]
    return [] if config.weights in (IMAGENET, NO_WEIGHTS) else [Path(config.weights)]


def _write(
    draft: Path, config: TrainingConfig, data: _Data, trained: TrainedNetwork, say: Callable[[str], None]
) -> Manifest:
    """Convert, calibrate, measure and describe; write it all into the folder."""
    dataset, splits = data.dataset, data.splits
    networks, pictures = _make_export_networks(config, trained), _choose_pictures(dataset, splits)
    export = _make_export_config(config)
    # What is measured is what is shipped: the converted network, run as the worker runs it.
    conversion = write_smallest_conversion(draft, networks.inference, export, dataset.classes, pictures, say)
    temperature = fit_temperature(
        conversion.validation_logits, pictures.labels, data.groups[splits.validation]
    )
    validation = data.make_predictions(conversion.validation_logits, splits.validation, temperature)
    test_logits = conversion.compute_logits(dataset.pixels[splits.test])
    test = data.make_predictions(test_logits, splits.test, temperature)
    metrics = compute_metrics(test, dataset.classes, TEST_SET, config.seed)
    training_data = TrainingData(dataset.fingerprint(), len(dataset.labels))
    results = TrainingResults(dataset.classes, temperature, training_data, metrics)
    manifest = write_bundle(draft, networks, export, results, conversion, say)
    study = make_training_study(config, dataset, splits, trained, temperature, (validation, test), metrics)
    write_report(draft / "report", study)
    return manifest


def _make_export_config(config: TrainingConfig) -> ExportConfig:
    return ExportConfig(
        name=config.name,
        input=config.input,
        max_side=config.max_side,
        seed=config.seed,
        margin=config.margin,
        formats=config.exports,
        keep_keras=config.keep_keras,
        command=config.command,
    )


def _make_export_networks(config: TrainingConfig, trained: TrainedNetwork) -> ExportNetworks:
    """Add flip test-time augmentation, unless the network was trained without mirrored pictures."""
    network = trained.network
    is_augmented = config.hyperparameters.augmented
    return ExportNetworks(network, inference=add_flip_tta(network) if is_augmented else network)


def _choose_pictures(dataset: Dataset, splits: SplitIndices) -> ExportPictures:
    representative = choose_representative_dataset(splits.training)
    validation = splits.validation
    return ExportPictures(
        dataset.pixels[representative], dataset.pixels[validation], dataset.labels[validation]
    )
