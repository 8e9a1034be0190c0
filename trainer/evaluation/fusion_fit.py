"""Fit the fusion, the temperature and the decision threshold of a bundle to labeled raw outputs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from trainer.evaluation.metrics import LabeledPredictions, make_predictions
from worker.inference.bundle import Fusion, Manifest
from worker.inference.fusion import RawOutputs, fuse_logits
from worker.stats import wilson_interval

_MAX_WEIGHT = 20.0
_THRESHOLD_BOUNDS = (-2.0, 2.0)
"""Of a decision threshold, in log odds: 0.12 to 0.88."""


@dataclass(frozen=True, slots=True)
class LabeledOutputs:
    """What a bundle's networks gave for N images, their classes and their groups of near-duplicates.

    `labels` and `groups` are int64 (N,).
    """

    outputs: tuple[RawOutputs, ...]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]


def fit_fusion(labeled: LabeledOutputs, start: Fusion) -> tuple[Fusion, float]:
    """Return the weights of least log loss, those of face and scene with a sum of 1, and the temperature.

    Stacking by logistic regression (Wolpert 1992) without a constant; no weight is below 0. Where neither
    face nor scene says anything, both are 0. What no image tells of, `no_face_weight` where all have a face,
    face and scene where none has, is that of `start`, multiplied by the temperature.
    """
    # `fuse_logits` is linear in the weights, but takes them as float32, too coarse to seek a minimum in.
    by_weight = np.stack([fuse_all(labeled, Fusion(*weights)) for weights in np.eye(3).tolist()]).astype(
        np.float64
    )
    one_hot = np.eye(by_weight.shape[2])[labeled.labels]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logs = log_softmax(np.tensordot(weights, by_weight, axes=1), axis=1)
        gradient = ((np.exp(logs) - one_hot) * by_weight).sum(axis=2).mean(axis=1)
        return -float((one_hot * logs).sum(axis=1).mean()), gradient

    # Where the gradient is 0, this method stays where it began.
    initial = np.minimum([start.face_weight, start.scene_weight, start.no_face_weight], _MAX_WEIGHT)
    fitted = minimize(loss, initial, jac=True, method="L-BFGS-B", bounds=[(0.0, _MAX_WEIGHT)] * 3)
    face, scene, no_face = (float(weight) for weight in fitted.x)
    temperature = 1.0 / max(face + scene, 1.0 / _MAX_WEIGHT)
    return Fusion(face * temperature, scene * temperature, no_face * temperature), temperature


def fit_decision_threshold(labeled: LabeledOutputs, manifest: Manifest) -> float | None:
    """Return from which probability of the first of two classes on it is the label; None for more classes.

    It is where a constant of least log loss, both classes weighing the same, would move the even odds to.
    What is likely a class by the photos' shares is not yet likely by what they show.
    """
    if len(manifest.classes) != 2:
        return None
    logits = fuse_all(labeled, manifest.fusion).astype(np.float64) / manifest.calibration.temperature
    log_odds = logits[:, 0] - logits[:, 1]
    counts = np.maximum(np.bincount(labeled.labels, minlength=2), 1)

    def loss(constant: float) -> float:
        margin = np.where(labeled.labels == 0, -1.0, 1.0) * (log_odds + constant)
        return float((np.logaddexp(0.0, margin) / counts[labeled.labels]).sum())

    return float(expit(-minimize_scalar(loss, bounds=_THRESHOLD_BOUNDS, method="bounded").x))


def predict_labeled(labeled: LabeledOutputs, manifest: Manifest) -> LabeledPredictions:
    """Return what the bundle predicts from the raw outputs."""
    logits = fuse_all(labeled, manifest.fusion)
    temperature, threshold = manifest.calibration.temperature, manifest.calibration.decision_threshold
    predictions = make_predictions(logits, labeled.labels, temperature, labeled.groups)
    if threshold is None:
        return predictions
    return replace(predictions, predicted=(predictions.probabilities[:, 0] < threshold).astype(np.int64))


def format_ablation(labeled: LabeledOutputs, manifest: Manifest) -> str:
    """Say what each part brings on the images that the weights were fitted to, as a table in Markdown."""
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
        (name, fuse_all(images, fusion).argmax(axis=1) == labeled.labels) for name, images, fusion in variants
    ]
    if manifest.calibration.decision_threshold is not None:
        rows.append(("the same, with the decision threshold", predict_labeled(labeled, manifest).right()))
    has_face = np.array([bool(outputs.detections) for outputs in labeled.outputs])
    lines = ["| what is read | all images | with a face | without |", "|---|---|---|---|"]
    for name, right in rows:
        cells = (_format_share(right[chosen]) for chosen in (np.full(len(right), True), has_face, ~has_face))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def fuse_all(labeled: LabeledOutputs, fusion: Fusion | None) -> NDArray[np.float32]:
    """Fuse the logits of each image: float32 (N, classes)."""
    return np.stack([fuse_logits(outputs, fusion) for outputs in labeled.outputs])


def _format_share(right: NDArray[np.bool_]) -> str:
    if not len(right):
        return "–"
    low, high = wilson_interval(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({low:.1%} to {high:.1%}) of {len(right)}"


def _keep_largest(outputs: RawOutputs) -> RawOutputs:
    return replace(outputs, detections=outputs.detections[:1], face_logits=outputs.face_logits[:1])
