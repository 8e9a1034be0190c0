"""Run a bundle on one picture at a time, and say what it makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.inference.bundle import Bundle, Faces
from worker.inference.decode import Picture
from worker.inference.detector import Box, found
from worker.inference.network import Network
from worker.inference.prediction import Face, Verdict
from worker.inference.preprocess import View

_DOUBT = 3
"""Power of a find's score by which it counts: half as sure, an eighth. Chosen of 1 to 4 by log loss on photos
held out; 2 and 4 are as good within the noise."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the networks answered to one picture, before anything is weighed.

    `boxes` are in pixels of the picture that was looked at, the largest first; `face_logits` is float32
    (faces, classes), `whole_logits` float32 (classes,). `around` is the share of the picture, 0 to 1, that
    lies around the faces, each find counting by its score.
    """

    boxes: tuple[Box, ...]
    face_logits: NDArray[np.float32]
    whole_logits: NDArray[np.float32]
    around: float = 1.0


class Judge:
    """A bundle that is loaded and ready to judge."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the bundle's networks. Raises BundleError where LiteRT refuses one."""
        self._manifest = manifest = bundle.manifest
        self._networks = [Network(bundle.folder, stage, len(manifest.classes)) for stage in manifest.stages]
        self._of_faces = [each for each in self._networks if each.stage.view == "face"]
        self._of_wholes = [each for each in self._networks if each.stage.view == "whole"]

    def judge(self, picture: Picture) -> Verdict:
        """Judge an upright picture."""
        evidence = self.evidence(picture)
        (scores,) = self._scores(fused(evidence, self._manifest.faces)[np.newaxis])
        label = self._label(scores)
        return Verdict(label, scores[label], scores, self._faces(picture, evidence))

    def evidence(self, picture: Picture) -> Evidence:
        """Run every network on an upright picture."""
        view = View.of(picture.pixels)
        answers = _answers(self._of_wholes, view)
        boxes: tuple[Box, ...] = ()
        height, width, _ = picture.pixels.shape
        if self._manifest.faces is not None:
            spec = self._of_wholes[0].stage.input  # the finder's, which is the first stage
            boxes = found(answers.pop(0), self._manifest.faces, spec, width, height)
        cuts = (view.cut(box.left, box.top, box.right, box.bottom) for box in boxes)
        of_faces = [_mean(_answers(self._of_faces, cut)) for cut in cuts]
        whole = _mean(answers)
        logits = np.array(of_faces, np.float32).reshape(-1, len(whole))
        return Evidence(boxes, logits, whole, _around(boxes, width, height))

    def self_test(self) -> None:
        """Run every stage's golden inputs. Raises BundleError where the answers are not the golden ones."""
        for network in self._networks:
            network.self_test()

    def _faces(self, picture: Picture, evidence: Evidence) -> tuple[Face, ...] | None:
        if self._manifest.faces is None:
            return None
        height, width, _ = picture.pixels.shape
        across, down = picture.width / width, picture.height / height
        faces = []
        every = self._scores(np.float32(self._manifest.faces.face) * evidence.face_logits)
        for box, scores in zip(evidence.boxes, every, strict=True):
            sides = (box.right - box.left) * across, (box.bottom - box.top) * down
            faces.append(
                Face(box.left * across, box.top * down, *sides, box.score, self._label(scores), scores)
            )
        return tuple(faces)

    def _scores(self, logits: NDArray[np.float32]) -> list[dict[str, float]]:
        chances = softmax(logits / self._manifest.calibration.temperature)
        return [dict(zip(self._manifest.classes, each, strict=True)) for each in chances.tolist()]

    def _label(self, scores: dict[str, float]) -> str:
        if self._manifest.decision_threshold is None:
            return max(scores, key=scores.__getitem__)
        first, second = self._manifest.classes
        return first if scores[first] >= self._manifest.decision_threshold else second


def _answers(networks: Sequence[Network], view: View) -> list[NDArray[np.float32]]:
    inputs = view.fit_each([network.stage.input for network in networks])
    return [network.run(pixels) for network, pixels in zip(networks, inputs, strict=True)]


def _mean(logits: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return what readers of one view say together: float32 (classes,)."""
    return sum(logits[1:], logits[0]) / np.float32(len(logits))


def _around(boxes: tuple[Box, ...], width: int, height: int) -> float:
    covered = sum((box.right - box.left) * (box.bottom - box.top) * box.score for box in boxes)
    return max(0.0, 1.0 - covered / (width * height))


def fused(evidence: Evidence, faces: Faces | None) -> NDArray[np.float32]:
    """Weigh faces and the whole picture as `Faces` says: one picture's logits, float32 (classes,).

    Where the bundle finds no faces, `faces` being None, they are those of the whole picture.
    """
    if faces is None:
        return evidence.whole_logits
    whole = evidence.whole_logits
    if not evidence.boxes:
        return np.float32(faces.alone) * whole
    scores = np.array([box.score for box in evidence.boxes])
    shares = np.array([box.side for box in evidence.boxes]) ** 2 * (scores / scores.max()) ** _DOUBT
    mean = shares @ evidence.face_logits / shares.sum()
    chance = 1.0 - np.prod(1.0 - scores)
    shown = faces.face * mean + faces.whole * evidence.around * whole
    combined: NDArray[np.float32] = (chance * shown + (1.0 - chance) * faces.alone * whole).astype(np.float32)
    return combined


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities that logits stand for, over the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    total: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return total
