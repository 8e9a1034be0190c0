"""Make the study of a network that has just been trained. Importing this module imports TensorFlow."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.data.splits import SplitIndices
from trainer.evaluation.metrics import LabeledPredictions
from trainer.report.grad_cam import compute_grad_cam
from trainer.report.study import Study, StudyPictures
from trainer.training.augmentation import draw_samples
from trainer.training.configuration import TrainingConfig
from trainer.training.trainer import TrainedNetwork
from worker.inference.manifest import Metric
from worker.paths import format_path

_SAMPLES = 24


def make_training_study(
    config: TrainingConfig,
    dataset: Dataset,
    splits: SplitIndices,
    trained: TrainedNetwork,
    temperature: float,
    predictions: tuple[LabeledPredictions, LabeledPredictions],
    metrics: tuple[Metric, ...],
) -> Study:
    """Return the study of a training; `predictions` are for the validation and for the test pictures."""
    validation, test = predictions
    return Study(
        title=config.name,
        classes=dataset.classes,
        command=config.command,
        fingerprint=dataset.fingerprint(),
        about_counts=(
            f"{len(dataset.labels)} in the data, {len(splits.validation)} of them for validation, "
            f"{len(splits.test)} tested"
        ),
        about_test=_describe_test(dataset, splits),
        temperature=temperature,
        validation=validation,
        test=test,
        metrics=metrics,
        epochs=trained.history,
        best_epoch=trained.best.number,
        pictures=_choose_pictures(config, dataset, splits, trained) if config.pictures else None,
    )


def _describe_test(dataset: Dataset, splits: SplitIndices) -> str:
    count = len(splits.test)
    if any(split is not None for split in dataset.splits):
        return (
            f"The {count} test pictures are those of the test folder. None of them was trained on, but "
            "near-duplicates may have been, where leakage between the folders was reported."
        )
    return (
        f"The {count} test pictures were drawn from the same folders as the rest. Neither they nor any "
        "near-duplicates of them were trained on. Pictures from elsewhere may be harder."
    )


def _choose_pictures(
    config: TrainingConfig, dataset: Dataset, splits: SplitIndices, trained: TrainedNetwork
) -> StudyPictures:
    samples = _choose_by_class(dataset.labels, splits.training, config.seed)
    pixels = dataset.pixels[samples]
    is_augmented = config.hyperparameters.augmented
    return StudyPictures(
        samples=pixels,
        sample_labels=dataset.labels[samples],
        about_samples="Training pictures, each with its label.",
        augmented=draw_samples(pixels, _SAMPLES, config.seed) if is_augmented else None,
        load_test=lambda indices: dataset.pixels[splits.test[indices]],
        test_names=tuple(format_path(dataset.paths[index]).rpartition("/")[2] for index in splits.test),
        explain=partial(compute_grad_cam, trained.network),
    )


def _choose_by_class(labels: NDArray[np.int64], training: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Draw training pictures, the same number of each class as far as there are enough."""
    shuffled = np.random.default_rng(seed).permutation(training)
    rank = np.zeros(len(shuffled), np.int64)
    for label in np.unique(labels[shuffled]):
        is_of_class = labels[shuffled] == label
        rank[is_of_class] = np.arange(np.count_nonzero(is_of_class))
    return shuffled[np.argsort(rank, kind="stable")][:_SAMPLES]
