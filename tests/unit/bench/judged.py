"""Verdicts and answers as a bundle might have given them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from trainer.evaluation.judging import Unjudged

from tests.bench.accuracy_judging import Seen
from trainer.evaluation.metrics import LabeledPredictions
from worker.inference.prediction import FacePrediction, Prediction

CLASSES = ("happy", "sad")


def answers(confidence: Sequence[float], labels: Sequence[int], right: Sequence[bool]) -> LabeledPredictions:
    truth = np.array(labels, np.int64)
    predicted = np.where(right, truth, 1 - truth)
    chances = np.empty((len(truth), 2))
    chances[np.arange(len(truth)), predicted] = confidence
    chances[np.arange(len(truth)), 1 - predicted] = 1 - np.array(confidence)
    return LabeledPredictions(chances, chances, predicted, truth, np.arange(len(truth)))


def drawn_answers(count: int, seed: int = 0) -> LabeledPredictions:
    """Draw answers that are right as often as they are sure."""
    dice = np.random.default_rng(seed)
    confidence = dice.uniform(0.5, 1, count)
    return answers(
        confidence.tolist(), dice.integers(0, 2, count).tolist(), (dice.random(count) < confidence).tolist()
    )


def verdict(*sides: float) -> Prediction:
    """Return a verdict with square faces of these sides."""
    scores = {"happy": 0.9, "sad": 0.1}
    faces = tuple(FacePrediction(0, 0, side, side, 1.0, "happy", scores) for side in sides)
    return Prediction("happy", 0.9, scores, faces)


def seen(
    *versions: LabeledPredictions, verdicts: Sequence[Prediction] = (), unjudged: Sequence[str] = ()
) -> Seen:
    """Return what was seen, `unjudged` giving the reasons."""
    files = len(versions[0].labels) + len(unjudged)
    refused = tuple(Unjudged(Path("data/happy/x"), reason, "a sentence") for reason in unjudged)
    return Seen(Path("data"), None, files, versions, tuple(verdicts), refused)
