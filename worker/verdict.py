"""What a bundle says of one photo."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Face:
    """A face that was found: its box in pixels of the upright photo, and the score of each label."""

    left: float
    top: float
    width: float
    height: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label, its calibrated probability, that of every label, and the faces that it rests on.

    `faces` is None where the bundle does not look for faces.
    """

    label: str
    confidence: float
    scores: dict[str, float]
    faces: tuple[Face, ...] | None
