"""Compare the faces that a finder finds with those of its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.detection.boxes import Annotations, Boxes, compute_iou
from worker.inference.bundle import Metric
from worker.stats import wilson_interval

MATCH = 0.5
"""Overlap from which on two squares show the same face (Everingham et al. 2010, "PASCAL VOC")."""

LEAST_SIDE = 24.0
"""Faces of fewer pixels in the picture are not asked for; who finds them has not found wrong."""

_SCORES = np.round(np.arange(0.1, 0.91, 0.05), 2)


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """What a finder found in a picture, float32 (N, 3) squares and (N,) scores, and what the teacher did."""

    squares: Boxes
    scores: np.ndarray
    marks: Annotations


@dataclass(frozen=True, slots=True)
class DetectionCounts:
    """Counts at one least score.

    `hits` of `faces` that the teacher found, of 24 pixels and more; `right` of `finds` that the teacher
    shares; `alarms` pictures with a find among `empty` ones, in which the teacher sees nothing at all.
    """

    least_score: float
    hits: int
    faces: int
    right: int
    finds: int
    alarms: int
    empty: int

    @property
    def f3(self) -> float:
        """The mean of the shares of faces found and of finds that are faces, the former counting thrice.

        (van Rijsbergen 1979.) A face that is missed is lost; what is no face counts little beside a face,
        since what is read in it is weighed by the finder's score.
        """
        found, confirmed = self.hits / max(1, self.faces), self.right / max(1, self.finds)
        return 10 * found * confirmed / max(1e-9, 9 * confirmed + found)

    def metrics(self, test_set: str) -> tuple[Metric, ...]:
        """Return the three shares with their intervals."""
        shares = (
            ("faces_found", self.hits, self.faces),
            ("finds_confirmed", self.right, self.finds),
            ("false_alarms", self.alarms, self.empty),
        )
        return tuple(
            Metric(name, None, hits / max(1, total), *wilson_interval(hits, total), test_set, total)
            for name, hits, total in shares
            if total
        )

    def __str__(self) -> str:
        return (
            f"least score {self.least_score:.2f}: {self.hits} of {self.faces} faces found "
            f"({self.hits / max(1, self.faces):.1%}), {self.right} of {self.finds} finds confirmed, "
            f"a false alarm in {self.alarms} of {self.empty} pictures without faces"
        )


def count_at_thresholds(pictures: Sequence[DetectionResult]) -> tuple[DetectionCounts, ...]:
    """Count at each of several least scores."""
    return tuple(_count_at(pictures, float(score)) for score in _SCORES)


def choose_best(counted: Sequence[DetectionCounts]) -> DetectionCounts:
    """Return the tally of the best F3."""
    return max(counted, key=lambda tally: tally.f3)


def _count_at(pictures: Sequence[DetectionResult], least: float) -> DetectionCounts:
    hits = faces = right = finds = alarms = empty = 0
    for picture in pictures:
        squares = picture.squares[picture.scores >= least]
        truth, doubtful = picture.marks.faces, picture.marks.doubtful
        asked = truth[truth[:, 2] >= LEAST_SIDE]
        faces += len(asked)
        hits += int((compute_iou(asked, squares) >= MATCH).any(axis=1).sum())
        shared = (compute_iou(squares, truth) >= MATCH).any(axis=1)
        open_to_doubt = (compute_iou(squares, doubtful) >= MATCH / 2).any(axis=1) | (
            squares[:, 2] < LEAST_SIDE
        )
        right += int(shared.sum())
        finds += int((shared | ~open_to_doubt).sum())
        if not len(truth) and not len(doubtful):
            empty += 1
            alarms += bool(len(squares))
    return DetectionCounts(least, hits, faces, right, finds, alarms, empty)
