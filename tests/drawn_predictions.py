"""Predictions for the tests: drawn at random, the same for each seed, or a bundle's for drawn pictures."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.drawing import draw_pixels
from trainer.evaluation.metrics import LabeledPredictions, make_predictions
from worker.inference.bundle import load_bundle
from worker.inference.fusion import softmax
from worker.inference.manifest import make_temperature_calibration
from worker.inference.network import Network


def draw_predictions(
    count: int, classes: int, seed: int = 0, overconfidence: float = 2.0
) -> LabeledPredictions:
    """Draw predictions whose calibrated probabilities are the true ones."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, classes)).astype(np.float32)
    probabilities = softmax(logits)
    labels = (generator.random((count, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    calibration = make_temperature_calibration(overconfidence, classes)
    return make_predictions(logits * np.float32(overconfidence), labels, calibration)


def run_both_ways(bundle: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Run a bundle of one network on pictures and their mirror images: logits float32 (8, classes) each."""
    manifest = load_bundle(bundle).manifest
    (spec,) = manifest.networks
    network = Network(bundle, spec, len(manifest.classes))
    pictures = [draw_pixels(seed, (spec.input.width, spec.input.height)) for seed in range(8)]
    straight, mirrored = (
        np.stack([network.run(pixels[:, ::step])["logits"] for pixels in pictures]) for step in (1, -1)
    )
    return straight, mirrored
