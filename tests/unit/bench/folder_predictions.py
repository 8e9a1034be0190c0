"""Predictions as a bundle might have made them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.accuracy_predictions import FolderPredictions
from trainer.evaluation.bundle_evaluation import SkippedFile
from trainer.evaluation.metrics import LabeledPredictions
from worker.errors import Reason
from worker.inference.prediction import FacePrediction, Prediction

CLASSES = ("happy", "sad")


def make_predictions(
    confidence: Sequence[float], labels: Sequence[int], correct: Sequence[bool]
) -> LabeledPredictions:
    true_labels = np.array(labels, np.int64)
    predicted = np.where(correct, true_labels, 1 - true_labels)
    probabilities = np.empty((len(true_labels), 2))
    probabilities[np.arange(len(true_labels)), predicted] = confidence
    probabilities[np.arange(len(true_labels)), 1 - predicted] = 1 - np.array(confidence)
    groups = np.arange(len(true_labels))
    return LabeledPredictions(probabilities, probabilities, predicted, true_labels, groups)


def draw_calibrated(count: int, seed: int = 0) -> LabeledPredictions:
    """Draw predictions that are correct as often as they are sure."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1, count)
    labels = generator.integers(0, 2, count)
    correct = generator.random(count) < confidence
    return make_predictions(confidence.tolist(), labels.tolist(), correct.tolist())


def make_prediction(*sides: float) -> Prediction:
    """Return a prediction with square faces of these sides."""
    probabilities = {"happy": 0.9, "sad": 0.1}
    faces = tuple(FacePrediction(0, 0, side, side, 1.0, "happy", probabilities) for side in sides)
    return Prediction("happy", 0.9, probabilities, faces)


def make_folder(
    *versions: LabeledPredictions, predictions: Sequence[Prediction] = (), skipped: Sequence[Reason] = ()
) -> FolderPredictions:
    """Return the predictions for a folder, in which files were skipped for these reasons."""
    files = len(versions[0].labels) + len(skipped)
    skipped_files = tuple(SkippedFile(Path("data/happy/x"), reason, "a sentence") for reason in skipped)
    return FolderPredictions(Path("data"), None, files, versions, tuple(predictions), skipped_files)
