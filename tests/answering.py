"""Answers for the tests, drawn by code: the same seed draws the same ones."""

import numpy as np

from trainer.evaluation import Answers, answers_from_logits


def draw_answers(count: int, classes: int, seed: int = 0, overconfidence: float = 2.0) -> Answers:
    """Draw answers whose calibrated probabilities are the true ones."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1.5, (count, classes)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (draw.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return answers_from_logits(logits * np.float32(overconfidence), labels, overconfidence)
