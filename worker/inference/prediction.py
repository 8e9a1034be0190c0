"""What a bundle predicts of one photo."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FacePrediction:
    """A face: its bounding box in pixels of the upright photo, and what the face classifiers predict of it.

    `score` is the detector's, the probability that it is a face at all; `label` and `probabilities` are as
    those of a photo.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    label: str
    probabilities: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return it as a table for JSON, with the bounding box as [left, top, width, height]."""
        box = [round(side, 1) for side in (self.left, self.top, self.width, self.height)]
        return {"box": box, "score": self.score, "label": self.label, "probabilities": self.probabilities}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label, its calibrated probability, that of every label, and the faces that it rests on.

    `faces` are the largest first; None where the bundle does not detect faces.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    faces: tuple[FacePrediction, ...] | None

    def faces_to_dicts(self) -> list[dict[str, Any]] | None:
        """Return the faces as a list for JSON; None where the bundle does not detect faces."""
        return None if self.faces is None else [face.to_dict() for face in self.faces]
