"""Compare the faces that a detector detects with those of its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations, Boxes, compute_iou
from worker.inference.manifest import Metric
from worker.stats import wilson_interval

MATCH_IOU = 0.5
"""From this IoU on two boxes show the same face (Everingham et al. 2010, "PASCAL VOC")."""

MIN_SIDE = 24.0
"""Smaller faces, in pixels of the picture, do not count: neither those missed nor those detected."""

# Rounded: the threshold comes into the manifest, and arange() gives 0.15000000000000002.
_SCORE_THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """What a detector gives for a picture, boxes (N, 3) and scores (N,), and what its teacher annotates."""

    boxes: Boxes
    scores: NDArray[np.float64]
    annotations: Annotations


@dataclass(frozen=True, slots=True)
class DetectionCounts:
    """Counts at one score threshold.

    `detected_faces` are of `faces`, those annotated with a side of 24 pixels and more;
    `confirmed_detections` of `detections`, those that the annotations confirm or refute;
    `false_positive_pictures`, with a detection, of `empty_pictures`, without faces and ignore regions.
    """

    score_threshold: float
    detected_faces: int
    faces: int
    confirmed_detections: int
    detections: int
    false_positive_pictures: int
    empty_pictures: int

    @property
    def f3(self) -> float:
        """The F-score of precision and recall, recall counting three times as much.

        (van Rijsbergen 1979.) A missed face is lost; a false positive does little harm beside a face, since
        the fusion weights faces by their scores.
        """
        recall = self.detected_faces / max(1, self.faces)
        precision = self.confirmed_detections / max(1, self.detections)
        return 10 * recall * precision / max(1e-9, 9 * precision + recall)

    def compute_metrics(self, test_set: str) -> tuple[Metric, ...]:
        """Return the three shares with their intervals, less those of nothing."""
        shares = (
            ("detection_recall", self.detected_faces, self.faces),
            ("detection_precision", self.confirmed_detections, self.detections),
            ("false_positive_pictures", self.false_positive_pictures, self.empty_pictures),
        )
        return tuple(
            Metric(name, None, count / total, *wilson_interval(count, total), test_set, total)
            for name, count, total in shares
            if total
        )

    def __str__(self) -> str:
        return (
            f"score threshold {self.score_threshold:.2f}: "
            f"{self.detected_faces} of {self.faces} faces detected "
            f"({self.detected_faces / max(1, self.faces):.1%}), "
            f"{self.confirmed_detections} of {self.detections} detections confirmed, "
            f"a false positive in {self.false_positive_pictures} of {self.empty_pictures} "
            "pictures without faces"
        )


def count_at_thresholds(results: Sequence[DetectionResult]) -> tuple[DetectionCounts, ...]:
    """Count at each of several score thresholds, the lowest first."""
    return tuple(_count_at(results, float(threshold)) for threshold in _SCORE_THRESHOLDS)


def choose_best(counts: Sequence[DetectionCounts]) -> DetectionCounts:
    """Return the counts with the best F3."""
    return max(counts, key=lambda counts_at_threshold: counts_at_threshold.f3)


def _count_at(results: Sequence[DetectionResult], threshold: float) -> DetectionCounts:
    detected = faces = confirmed = detections = false_positive_pictures = empty = 0
    for result in results:
        boxes = result.boxes[result.scores >= threshold]
        annotations = result.annotations
        large_faces = annotations.faces[annotations.faces[:, 2] >= MIN_SIDE]
        faces += len(large_faces)
        detected += int((compute_iou(large_faces, boxes) >= MATCH_IOU).any(axis=1).sum())
        # Small faces do not have to be detected, but confirm a detection.
        is_confirmed = (compute_iou(boxes, annotations.faces) >= MATCH_IOU).any(axis=1)
        confirmed += int(is_confirmed.sum())
        detections += int((is_confirmed | ~_find_ignored(boxes, annotations)).sum())
        if not len(annotations.faces) and not len(annotations.ignore_regions):
            empty += 1
            false_positive_pictures += bool(len(boxes))
    return DetectionCounts(threshold, detected, faces, confirmed, detections, false_positive_pictures, empty)


def _find_ignored(boxes: Boxes, annotations: Annotations) -> NDArray[np.bool_]:
    """Return which boxes are too small to count, or in an ignore region: bool (N,)."""
    # Half of the usual IoU: an ignore region says less well where the face would be.
    overlaps = (compute_iou(boxes, annotations.ignore_regions) >= MATCH_IOU / 2).any(axis=1)
    return np.asarray(overlaps | (boxes[:, 2] < MIN_SIDE), bool)
