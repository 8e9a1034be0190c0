"""Make the study of a network that has just been trained. Imports TensorFlow."""

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
from worker.inference.bundle import Metric
from worker.paths import format_path

_SHOWN = 24


def make_training_study(
    recipe: TrainingConfig,
    dataset: Dataset,
    splits: SplitIndices,
    trained: TrainedNetwork,
    temperature: float,
    answers: tuple[LabeledPredictions, LabeledPredictions],
    metrics: tuple[Metric, ...],
) -> Study:
    """Return the study of a training run; `run_all` are those to the validation and to the test pictures."""
    validation, test = answers
    return Study(
        title=recipe.name,
        classes=dataset.classes,
        command=recipe.command,
        fingerprint=dataset.fingerprint(),
        training_pictures=len(dataset.labels),
        about_test=_describe_test(dataset, splits),
        temperature=temperature,
        validation=validation,
        test=test,
        metrics=metrics,
        epochs=trained.history,
        best_epoch=trained.best.number,
        pictures=_choose_pictures(recipe, dataset, splits, trained) if recipe.pictures else None,
    )


def _describe_test(dataset: Dataset, splits: SplitIndices) -> str:
    count = len(splits.test)
    if any(part is not None for part in dataset.splits):
        return (
            f"The {count} test pictures are the given ones. They took no part in training; copies of them "
            "may have, as far as leakage between the given folders was reported."
        )
    return (
        f"The {count} test pictures were drawn from the same folders and took no part in training, nor did "
        "any copy or near-copy of them. They come from where the others do: pictures from elsewhere may be "
        "harder."
    )


def _choose_pictures(
    recipe: TrainingConfig, dataset: Dataset, splits: SplitIndices, trained: TrainedNetwork
) -> StudyPictures:
    training = splits.training
    chosen = _choose_of_each_class(dataset.labels, training, recipe.seed)
    return StudyPictures(
        samples=dataset.pixels[chosen],
        sample_labels=dataset.labels[chosen],
        augmented=draw_samples(dataset.pixels[chosen], _SHOWN, recipe.seed)
        if recipe.hyperparameters.augmented
        else None,
        test=lambda places: dataset.pixels[splits.test[places]],
        test_names=tuple(format_path(dataset.paths[place]).rpartition("/")[2] for place in splits.test),
        explain=partial(compute_grad_cam, trained.network),
    )


def _choose_of_each_class(
    labels: NDArray[np.int64], training: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Draw pictures, as many of each class as there is room for."""
    drawn = np.random.default_rng(seed).permutation(training)
    turn = np.zeros(len(drawn), np.int64)
    for label in np.unique(labels[drawn]):
        own = labels[drawn] == label
        turn[own] = np.arange(np.count_nonzero(own))
    return drawn[np.argsort(turn, kind="stable")][:_SHOWN]
