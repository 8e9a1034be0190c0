"""Fit the fusion, the temperature and the biases of a bundle to labeled raw outputs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from trainer.evaluation.metrics import LabeledPredictions, make_predictions
from worker.inference.fusion import RawOutputs, fuse_logits
from worker.inference.manifest import Fusion, Manifest
from worker.stats import wilson_interval

_MAX_WEIGHT = 20.0
"""Of logits: as much as a temperature of 0.05, which is also where the fit of a temperature ends."""

_MAX_BIAS = 1.0
"""Of a class's logit: for two classes, decision thresholds from 0.12 to 0.88."""


@dataclass(frozen=True, slots=True)
class LabeledOutputs:
    """The raw outputs of a bundle's networks for N images, their classes and groups of near-duplicates.

    `labels` and `groups` are int64 (N,).
    """

    outputs: tuple[RawOutputs, ...]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]


def fit_fusion(labeled: LabeledOutputs, start: Fusion) -> tuple[Fusion, float]:
    """Return the fusion with the lowest log loss, and the temperature.

    This is stacking by logistic regression (Wolpert 1992) without an intercept and with weights of at least
    0. `face_weight` and `scene_weight` have a sum of 1, unless neither is of any use: then both are 0. A
    weight that no image depends on, `no_face_weight` where every image has a face, the two others where none
    has, stays that of `start`, multiplied by the temperature.
    """
    # `fuse_logits` is linear in the weights, but computes in float32, which is too coarse for a minimizer.
    unit_logits = np.stack([_fuse_all(labeled, Fusion(*weights)) for weights in np.eye(3).tolist()]).astype(
        np.float64
    )
    one_hot = np.eye(unit_logits.shape[2])[labeled.labels]

    def compute_loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_probabilities = log_softmax(np.tensordot(weights, unit_logits, axes=1), axis=1)
        gradient = ((np.exp(log_probabilities) - one_hot) * unit_logits).sum(axis=2).mean(axis=1)
        return -float((one_hot * log_probabilities).sum(axis=1).mean()), gradient

    # L-BFGS-B leaves a weight whose gradient is 0 where it began.
    initial = np.minimum([start.face_weight, start.scene_weight, start.no_face_weight], _MAX_WEIGHT)
    minimum = minimize(compute_loss, initial, jac=True, method="L-BFGS-B", bounds=[(0.0, _MAX_WEIGHT)] * 3)
    face, scene, no_face = (float(weight) for weight in minimum.x)
    temperature = 1.0 / max(face + scene, 1.0 / _MAX_WEIGHT)
    return Fusion(face * temperature, scene * temperature, no_face * temperature), temperature


def fit_biases(labeled: LabeledOutputs, manifest: Manifest) -> tuple[float, ...]:
    """Return the bias of each class with which the log loss is lowest; their sum is 0.

    All classes weigh the same in that loss: how common a class is among these images says nothing about the
    next photo.
    """
    logits = _fuse_all(labeled, manifest.fusion).astype(np.float64) / manifest.calibration.temperature
    one_hot = np.eye(len(manifest.classes))[labeled.labels]
    weights = 1.0 / np.maximum(one_hot.sum(axis=0), 1)[labeled.labels]

    def compute_loss(biases: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_probabilities = log_softmax(logits + biases, axis=1)
        gradient = weights @ (np.exp(log_probabilities) - one_hot)
        return -float(weights @ (one_hot * log_probabilities).sum(axis=1)), gradient

    bounds = [(-_MAX_BIAS, _MAX_BIAS)] * len(manifest.classes)
    minimum = minimize(compute_loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    # One constant in all biases cancels out.
    biases: list[float] = (minimum.x - minimum.x.mean()).tolist()
    return tuple(biases)


def predict_labeled(labeled: LabeledOutputs, manifest: Manifest) -> LabeledPredictions:
    """Return what the bundle predicts from the raw outputs."""
    logits = _fuse_all(labeled, manifest.fusion)
    return make_predictions(logits, labeled.labels, manifest.calibration, labeled.groups)


def format_ablation(labeled: LabeledOutputs, manifest: Manifest) -> str:
    """Return a Markdown table of the accuracy with fewer and fewer parts left out.

    It is measured on the images that the fusion was fitted to, and so flatters the last rows a little.
    """
    assert manifest.fusion is not None
    largest = replace(labeled, outputs=tuple(_keep_largest(outputs) for outputs in labeled.outputs))
    scene_only = Fusion(face_weight=0.0, scene_weight=1.0, no_face_weight=1.0)
    faces_only = Fusion(face_weight=1.0, scene_weight=0.0, no_face_weight=1.0)
    variants = (
        ("the scene alone", labeled, scene_only),
        ("the largest face, else the scene", largest, faces_only),
        ("all faces by area and score, else the scene", labeled, faces_only),
        ("faces and scene together", labeled, manifest.fusion),
    )
    rows = [
        (name, _fuse_all(images, fusion).argmax(axis=1) == labeled.labels)
        for name, images, fusion in variants
    ]
    rows.append(("the same, with the biases", predict_labeled(labeled, manifest).correct))
    has_face = np.array([bool(outputs.detections) for outputs in labeled.outputs])
    lines = ["| what is classified | all images | with a face | without |", "|---|---|---|---|"]
    for name, correct in rows:
        cells = map(_format_accuracy, (correct, correct[has_face], correct[~has_face]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _fuse_all(labeled: LabeledOutputs, fusion: Fusion | None) -> NDArray[np.float32]:
    """Fuse the logits of each image: float32 (N, classes)."""
    return np.stack([fuse_logits(outputs, fusion) for outputs in labeled.outputs])


def _format_accuracy(correct: NDArray[np.bool_]) -> str:
    if not len(correct):
        return "–"
    low, high = wilson_interval(int(correct.sum()), len(correct))
    return f"{correct.mean():.1%} ({low:.1%} to {high:.1%}) of {len(correct)}"


def _keep_largest(outputs: RawOutputs) -> RawOutputs:
    # Detections come the largest first.
    return replace(outputs, detections=outputs.detections[:1], face_logits=outputs.face_logits[:1])
