"""Divide predictions into groups, and measure each with the intervals that `moodsort evaluate` gives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tests.bench.accuracy_predictions import FolderPredictions
from trainer.evaluation.comparison import PairedComparison, compare_predictions
from trainer.evaluation.metrics import LabeledPredictions, compute_metrics
from worker.inference.manifest import Metric
from worker.inference.prediction import Prediction
from worker.stats import Z_95

SUREST_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Band:
    """Values from `start` up to where the next band begins."""

    name: str
    start: float


FACE_BANDS = (Band("none", 0), Band("1", 1), Band("2 or 3", 2), Band("4 and more", 4))
SIDE_BANDS = (
    Band("under 24 pixels", 0),
    Band("24 to 47 pixels", 24),
    Band("48 to 95 pixels", 48),
    Band("96 pixels and more", 96),
)


@dataclass(frozen=True, slots=True)
class Group:
    """How many pictures are in a group, and their metrics by name and class; an empty group has none."""

    name: str
    pictures: int
    metrics: dict[tuple[str, str | None], Metric]


def measure_group(name: str, predictions: LabeledPredictions, classes: tuple[str, ...]) -> Group:
    """Measure a group of pictures, which may be empty."""
    metrics = compute_metrics(predictions, classes, "") if len(predictions.labels) else ()
    return Group(name, len(predictions.labels), {(metric.name, metric.label): metric for metric in metrics})


def group_by_faces(folder: FolderPredictions, classes: tuple[str, ...]) -> list[Group]:
    """Divide pictures by the number of faces that were detected in them."""
    counts = np.array([len(prediction.faces or ()) for prediction in folder.predictions], np.float64)
    return _group_by_bands(folder.versions[0], counts, FACE_BANDS, classes)


def group_by_side(folder: FolderPredictions, classes: tuple[str, ...]) -> list[Group]:
    """Divide pictures with faces by the side of the largest one, in pixels of the photo."""
    sides = np.array([measure_largest_face(prediction) for prediction in folder.predictions], np.float64)
    has_face = ~np.isnan(sides)
    return _group_by_bands(select(folder.versions[0], has_face), sides[has_face], SIDE_BANDS, classes)


def measure_largest_face(prediction: Prediction) -> float:
    """Return the longest side of all faces, in pixels of the photo; NaN where there is no face."""
    return max((max(face.width, face.height) for face in prediction.faces or ()), default=math.nan)


def find_bands(values: NDArray[np.float64], bands: Sequence[Band]) -> NDArray[np.int64]:
    """Return the index of the band that each value lies in: int64 (N,)."""
    return np.searchsorted([band.start for band in bands], values, side="right").astype(np.int64) - 1


def find_surest(predictions: LabeledPredictions, share: float = SUREST_SHARE) -> NDArray[np.bool_]:
    """Return which pictures are the surest `share` of all, bool (N,); equally sure ones are in together."""
    confidence = predictions.confidence
    lowest = np.sort(confidence)[::-1][math.ceil(share * len(confidence)) - 1]
    is_sure: NDArray[np.bool_] = confidence >= lowest
    return is_sure


def select(predictions: LabeledPredictions, mask: NDArray[np.bool_]) -> LabeledPredictions:
    """Return the predictions for some of the pictures, by bool (N,)."""
    return LabeledPredictions(
        probabilities=predictions.probabilities[mask],
        uncalibrated=predictions.uncalibrated[mask],
        predicted=predictions.predicted[mask],
        labels=predictions.labels[mask],
        groups=predictions.groups[mask],
    )


def compare_versions(original: LabeledPredictions, changed: LabeledPredictions) -> PairedComparison:
    """Compare accuracy on changed pictures with that on the same ones as they are.

    The interval is at least as wide as the closed form of Bonett and Price (2012), which is not empty where
    every picture is predicted alike.
    """
    comparison = compare_predictions(original, changed)
    pictures = len(original.labels) + 2
    lost, won = (comparison.only_first + 1) / pictures, (comparison.only_second + 1) / pictures
    half = Z_95 * math.sqrt((lost + won - (won - lost) ** 2) / pictures)
    return replace(
        comparison,
        low=min(comparison.low, won - lost - half),
        high=max(comparison.high, won - lost + half),
    )


def _group_by_bands(
    predictions: LabeledPredictions,
    values: NDArray[np.float64],
    bands: Sequence[Band],
    classes: tuple[str, ...],
) -> list[Group]:
    indices = find_bands(values, bands)
    return [
        measure_group(band.name, select(predictions, indices == index), classes)
        for index, band in enumerate(bands)
    ]
