"""Answers for the tests: drawn by code, the same by the same seed, and a bundle's to drawn pictures."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.drawing import draw_pixels
from trainer.evaluation.metrics import Answers, answers_from_logits
from worker.inference.bundle import load_bundle
from worker.inference.network import Network


def draw_answers(count: int, classes: int, seed: int = 0, overconfidence: float = 2.0) -> Answers:
    """Draw answers whose calibrated probabilities are the true ones."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1.5, (count, classes)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (draw.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return answers_from_logits(logits * np.float32(overconfidence), labels, overconfidence)


def answers_both_ways(bundle: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Have a bundle of one reader answer pictures and their mirror images: float32 (8, classes) each."""
    manifest = load_bundle(bundle).manifest
    (stage,) = manifest.stages
    network = Network(bundle, stage, len(manifest.classes))
    pictures = [draw_pixels(seed, (stage.input.width, stage.input.height)) for seed in range(8)]
    straight, mirrored = (
        np.stack([network.run(pixels[:, ::step]) for pixels in pictures]) for step in (1, -1)
    )
    return straight, mirrored
