"""Make the study of a network that has just been trained. Imports TensorFlow."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.data.splits import Splits
from trainer.evaluation.metrics import Answers
from trainer.report.grad_cam import grad_cam
from trainer.report.study import Pictures, Study
from trainer.training.augmentation import samples
from trainer.training.configuration import Recipe
from trainer.training.trainer import Trained
from worker.inference.bundle import Metric
from worker.paths import shown

_SHOWN = 24


def study_of_training(
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    trained: Trained,
    temperature: float,
    answers: tuple[Answers, Answers],
    metrics: tuple[Metric, ...],
) -> Study:
    """Return the study of a training run; `answers` are those to the validation and to the test pictures."""
    validation, test = answers
    return Study(
        title=recipe.name,
        classes=dataset.classes,
        command=recipe.command,
        fingerprint=dataset.fingerprint(),
        training_pictures=len(dataset.labels),
        about_test=_about_test(dataset, splits),
        temperature=temperature,
        validation=validation,
        test=test,
        metrics=metrics,
        epochs=trained.history,
        best_epoch=trained.best.number,
        pictures=_pictures(recipe, dataset, splits, trained) if recipe.pictures else None,
    )


def _about_test(dataset: Dataset, splits: Splits) -> str:
    count = len(splits.test)
    if any(part is not None for part in dataset.parts):
        return (
            f"The {count} test pictures are the given ones. They took no part in training; copies of them "
            "may have, as far as leakage between the given folders was reported."
        )
    return (
        f"The {count} test pictures were drawn from the same folders and took no part in training, nor did "
        "any copy or near-copy of them. They come from where the others do: pictures from elsewhere may be "
        "harder."
    )


def _pictures(recipe: Recipe, dataset: Dataset, splits: Splits, trained: Trained) -> Pictures:
    training = splits.training
    chosen = _of_each_class(dataset.labels, training, recipe.seed)
    return Pictures(
        samples=dataset.pixels[chosen],
        sample_labels=dataset.labels[chosen],
        augmented=samples(dataset.pixels[chosen], _SHOWN, recipe.seed) if recipe.method.augmented else None,
        test=lambda places: dataset.pixels[splits.test[places]],
        test_names=tuple(shown(dataset.paths[place]).rpartition("/")[2] for place in splits.test),
        explain=partial(grad_cam, trained.network),
    )


def _of_each_class(labels: NDArray[np.int64], training: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Draw pictures, as many of each class as there is room for."""
    drawn = np.random.default_rng(seed).permutation(training)
    turn = np.zeros(len(drawn), np.int64)
    for label in np.unique(labels[drawn]):
        own = labels[drawn] == label
        turn[own] = np.arange(np.count_nonzero(own))
    return drawn[np.argsort(turn, kind="stable")][:_SHOWN]
