"""What a bundle predicts of one photo."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A number from 0 to 1; these limits hold where a prediction is read from another process."""

Coordinate = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]


@dataclass(frozen=True, slots=True)
class FacePrediction:
    """A face: its bounding box in pixels of the upright photo, and what the face classifiers predict of it.

    `score` is the detector's, the probability that it is a face at all; `label` and `probabilities` are as
    those of a photo.
    """

    left: Coordinate
    top: Coordinate
    width: Coordinate
    height: Coordinate
    score: Probability
    label: str
    probabilities: dict[str, Probability]

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
    confidence: Probability
    probabilities: dict[str, Probability]
    faces: tuple[FacePrediction, ...] | None

    def faces_to_dicts(self) -> list[dict[str, Any]] | None:
        """Return the faces as a list for JSON; None where the bundle does not detect faces."""
        return None if self.faces is None else [face.to_dict() for face in self.faces]
