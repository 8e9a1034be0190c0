"""Make one set of logits of those of the faces and of the scene."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.inference.bundle import Fusion
from worker.inference.detector import Detection

_SCORE_POWER = 3
"""Power of a detection's score by which it counts: half as sure, an eighth. Chosen of 1 to 4 by log loss on
photos held out; 2 and 4 are as good within the noise."""


@dataclass(frozen=True, slots=True)
class RawOutputs:
    """What the networks gave for one picture, before anything is fused.

    `detections` are in pixels of the picture that was read, the largest first; `face_logits` is float32
    (faces, classes), `scene_logits` float32 (classes,). `background_share` is the share of the picture, 0 to
    1, that lies around the faces, each detection counting by its score.
    """

    detections: tuple[Detection, ...]
    face_logits: NDArray[np.float32]
    scene_logits: NDArray[np.float32]
    background_share: float = 1.0


def fuse_logits(outputs: RawOutputs, fusion: Fusion | None) -> NDArray[np.float32]:
    """Weigh faces and scene as `Fusion` says: the picture's logits, float32 (classes,).

    Where the bundle detects no faces, `fusion` being None, they are those of the scene.
    """
    scene = outputs.scene_logits
    if fusion is None:
        return scene
    if not outputs.detections:
        return np.float32(fusion.no_face_weight) * scene
    scores = np.array([detection.score for detection in outputs.detections])
    areas = np.array([detection.side for detection in outputs.detections]) ** 2
    # Relative scores: the cube of a tiny one would be 0, and the weights' sum with it.
    weights = areas * (scores / scores.max()) ** _SCORE_POWER
    faces = weights @ outputs.face_logits / weights.sum()
    # Detections taken for independent: any of them may be the one that is a face.
    face_probability = 1.0 - np.prod(1.0 - scores)
    with_faces = fusion.face_weight * faces + fusion.scene_weight * outputs.background_share * scene
    without = fusion.no_face_weight * scene
    fused: NDArray[np.float32] = (face_probability * with_faces + (1.0 - face_probability) * without).astype(
        np.float32
    )
    return fused


def average_logits(logits: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the mean of several networks' logits, each float32 (classes,)."""
    return sum(logits[1:], logits[0]) / np.float32(len(logits))


def compute_background_share(detections: Sequence[Detection], width: int, height: int) -> float:
    """Return the share of a picture of width × height pixels that no face covers, 0 to 1."""
    covered = sum(
        (detection.right - detection.left) * (detection.bottom - detection.top) * detection.score
        for detection in detections
    )
    return max(0.0, 1.0 - covered / (width * height))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities that logits stand for, over the last axis."""
    # The largest power is then exp(0), and none overflows.
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    total: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return total
