"""Divide what was judged into groups, and measure each with the intervals that `moodsort evaluate` gives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tests.bench.accuracy_judging import Seen
from trainer.evaluation.comparison import PairedComparison, compare_predictions
from trainer.evaluation.metrics import LabeledPredictions, compute_metrics
from worker.inference.bundle import Metric
from worker.inference.prediction import Prediction
from worker.stats import Z_95

SURE_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Band:
    """Values from `least` up to where the next band begins."""

    name: str
    least: float


FACE_BANDS = (Band("none", 0), Band("1", 1), Band("2 or 3", 2), Band("4 and more", 4))
SIDE_BANDS = (
    Band("under 24 pixels", 0),
    Band("24 to 47 pixels", 24),
    Band("48 to 95 pixels", 48),
    Band("96 pixels and more", 96),
)


@dataclass(frozen=True, slots=True)
class Group:
    """How many pictures are in a group, and their figures, by name and class; none of an empty group."""

    name: str
    pictures: int
    metrics: dict[tuple[str, str | None], Metric]


def measured_group(name: str, answers: LabeledPredictions, classes: tuple[str, ...]) -> Group:
    """Measure a group of pictures, which may be empty."""
    found = compute_metrics(answers, classes, "") if len(answers.labels) else ()
    return Group(name, len(answers.labels), {(metric.name, metric.label): metric for metric in found})


def by_faces(seen: Seen, classes: tuple[str, ...]) -> list[Group]:
    """Divide pictures by the number of faces that were found in them."""
    counts = np.array([len(verdict.faces or ()) for verdict in seen.verdicts], np.float64)
    return _by_bands(seen.answers[0], counts, FACE_BANDS, classes)


def by_side(seen: Seen, classes: tuple[str, ...]) -> list[Group]:
    """Divide pictures in which a face was found by the side of the largest, in pixels of the photo."""
    sides = np.array([largest_side(verdict) for verdict in seen.verdicts], np.float64)
    has_face = ~np.isnan(sides)
    return _by_bands(taken(seen.answers[0], has_face), sides[has_face], SIDE_BANDS, classes)


def largest_side(verdict: Prediction) -> float:
    """Return the longest side of a verdict's faces, in pixels of the photo; NaN where there is no face."""
    return max((max(face.width, face.height) for face in verdict.faces or ()), default=math.nan)


def banded(values: NDArray[np.float64], bands: Sequence[Band]) -> NDArray[np.int64]:
    """Return the number of the band that each value lies in: int64 (N,)."""
    return np.searchsorted([band.least for band in bands], values, side="right").astype(np.int64) - 1


def surest(answers: LabeledPredictions, share: float = SURE_SHARE) -> NDArray[np.bool_]:
    """Return which pictures are the surest `share` of all, bool (N,); equally sure ones are in together."""
    confidence = answers.confidence()
    last = np.sort(confidence)[::-1][math.ceil(share * len(confidence)) - 1]
    kept: NDArray[np.bool_] = confidence >= last
    return kept


def taken(answers: LabeledPredictions, kept: NDArray[np.bool_]) -> LabeledPredictions:
    """Return the answers to some of the pictures, by bool (N,)."""
    return LabeledPredictions(
        probabilities=answers.probabilities[kept],
        uncalibrated=answers.uncalibrated[kept],
        predicted=answers.predicted[kept],
        labels=answers.labels[kept],
        groups=answers.groups[kept],
    )


def difference(clean: LabeledPredictions, changed: LabeledPredictions) -> PairedComparison:
    """Compare accuracy on changed pictures with that on the same ones as they are.

    The interval is at least as wide as the closed one of Bonett and Price (2012), which does not shrink to
    nothing where not one picture is judged differently.
    """
    found = compare_predictions(clean, changed)
    pictures = len(clean.labels) + 2
    lost, won = (found.only_first + 1) / pictures, (found.only_second + 1) / pictures
    half = Z_95 * math.sqrt((lost + won - (won - lost) ** 2) / pictures)
    return replace(found, low=min(found.low, won - lost - half), high=max(found.high, won - lost + half))


def _by_bands(
    answers: LabeledPredictions, values: NDArray[np.float64], bands: Sequence[Band], classes: tuple[str, ...]
) -> list[Group]:
    numbers = banded(values, bands)
    return [
        measured_group(band.name, taken(answers, numbers == number), classes)
        for number, band in enumerate(bands)
    ]
