"""What a bundle says of one photo."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Face:
    """A face that was found: its box in pixels of the upright photo, and what it says by itself.

    `score` is the probability that it is a face at all, `label` and `scores` are as of a photo.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    label: str
    scores: dict[str, float]

    def as_table(self) -> dict[str, Any]:
        """Return what is told of it in JSON, its box as [left, top, width, height]."""
        box = [round(side, 1) for side in (self.left, self.top, self.width, self.height)]
        return {"box": box, "score": self.score, "label": self.label, "scores": self.scores}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label, its calibrated probability, that of every label, and the faces that it rests on.

    `faces` are the largest first; None where the bundle does not look for faces.
    """

    label: str
    confidence: float
    scores: dict[str, float]
    faces: tuple[Face, ...] | None

    def faces_as_tables(self) -> list[dict[str, Any]] | None:
        """Return what is told of the faces in JSON."""
        return None if self.faces is None else [face.as_table() for face in self.faces]
