"""Guess which pictures have the wrong label: those for which a model of the others predicts another class."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.audit.examination import ExaminedImage
from worker.inference.decode import Pixels

Features = NDArray[np.float32]
Probabilities = NDArray[np.float64]

_FOLDS = 5

_MIN_GROUPS = 2 * _FOLDS
"""Different pictures of a class below which a fold might lack it: its labels are not looked at."""

_DIRECTIONS = 9
_EDGE_CELLS = 8
_COLOUR_CELLS = 6
"""Cells on a side. Directions and blocks of 2 × 2 cells: Dalal & Triggs 2005, "Histograms of oriented
gradients for human detection"."""

_COLOUR_WEIGHT = np.float32(0.5)
"""So little that on grey faces, which have none, it costs the model 0.3 points of its accuracy."""

_NORM_FLOOR = np.float32(0.02)
"""Added to the norm of a block, so that the noise of an even background is not taken for edges."""

_COMPONENTS = 96
_HIDDEN = 64
_L2_PENALTY = 1.0
_EPOCHS = 20
_BATCH_SIZE = 128
_MIN_STEPS = 12
_PICTURES_PER_COMPONENT = 8
"""The model's hyperparameters; an epoch has `_MIN_STEPS` or more. Measured on 9342 faces of 48 × 48 pixels,
of which one in twenty was given the other of two labels: for 85 % the true label is predicted; 34 % of the
label issues are wrong labels, of the hundred likeliest 91; and 62 % of all wrong labels are found."""

_MIN_ABOVE_CHANCE = 0.1
"""Of the mean recall: a model that predicts no better than a coin is no evidence against a label."""

_BLOCK = 512
"""Pictures whose features are computed at a time: the float32 arrays of all at once would fill the memory."""


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A picture, by its position, whose label looks wrong: the class that it looks like, and how much so."""

    position: int
    likely: int
    probability: float


@dataclass(frozen=True, slots=True)
class LabelIssues:
    """The likely wrong labels, the likeliest first, and the mean recall of the model that predicts others."""

    issues: tuple[LabelIssue, ...]
    recall: float

    def __str__(self) -> str:
        if not self.issues:
            return (
                f"no label looks wrong: a simple model predicts {self.recall:.0%} of the pictures as labelled"
            )
        return (
            f"wrong labels are found with a simple model, which predicts {self.recall:.0%} of the pictures "
            "as they are labelled; the fewer, the less its findings are worth"
        )


def find_label_issues(
    pictures: Sequence[ExaminedImage], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> LabelIssues | None:
    """Find likely wrong labels by confident learning (Northcutt et al. 2021).

    `labels` is int64 (N,), each picture's class; `groups` int64 (N,), near-duplicates of which none must
    vouch for another's label. Classes of few pictures are left out; None where that leaves less than two.
    """
    # Optional: only `--labels` needs it. It takes seconds to import.
    from cleanlab.filter import find_label_issues as rank_label_issues

    classes = [label for label in np.unique(labels) if len(np.unique(groups[labels == label])) >= _MIN_GROUPS]
    if len(classes) < 2:
        return None
    positions: list[int] = np.flatnonzero(np.isin(labels, classes)).tolist()
    known_labels = np.searchsorted(classes, labels[positions])
    features = compute_features([pictures[position].view for position in positions])
    probabilities = predict_out_of_fold(features, known_labels, groups[positions])
    ranked = rank_label_issues(
        known_labels,
        probabilities,
        return_indices_ranked_by="self_confidence",
        filter_by="confident_learning",
        n_jobs=1,
    )
    predicted = probabilities.argmax(axis=1)
    is_right = predicted == known_labels
    recall = float(np.mean([is_right[known_labels == label].mean() for label in range(len(classes))]))
    if recall < 1 / len(classes) + _MIN_ABOVE_CHANCE:
        return LabelIssues((), recall)
    issues = (
        LabelIssue(positions[row], int(classes[predicted[row]]), float(probabilities[row, predicted[row]]))
        for row in ranked
        if not is_right[row]
    )
    return LabelIssues(tuple(issues), recall)


def predict_out_of_fold(
    features: Features, labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> Probabilities:
    """Predict each picture by a model that was trained on neither it nor its near-duplicates.

    `labels` count from 0 without a gap. One small hidden layer over principal components: quick, and too
    small and too strongly regularized to learn wrong labels by heart. float64 (N, classes).
    """
    # As above: optional, and slow to import.
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    for training, held_out in folds.split(features, labels, groups):
        components = min(_COMPONENTS, len(training) // _PICTURES_PER_COMPONENT, features.shape[1])
        batch_size = min(_BATCH_SIZE, max(2, len(training) // _MIN_STEPS))
        model = make_pipeline(
            PCA(components, whiten=True, svd_solver="randomized", random_state=0),
            MLPClassifier(
                (_HIDDEN,), alpha=_L2_PENALTY, batch_size=batch_size, max_iter=_EPOCHS, random_state=0
            ),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
            model.fit(features[training], labels[training])
        probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return probabilities


def compute_features(views: Sequence[Pixels]) -> Features:
    """Describe views, uint8 (48, 48, 3), by directions of edges and coarse colour: float32 (N, features)."""
    blocks = [
        _compute_block(np.stack(views[start : start + _BLOCK]).astype(np.float32) / np.float32(255))
        for start in range(0, len(views), _BLOCK)
    ]
    return np.concatenate(blocks)


def _compute_block(views: NDArray[np.float32]) -> Features:
    edges = _compute_edge_cells(views.mean(axis=-1))
    corners = (edges[:, :-1, :-1], edges[:, 1:, :-1], edges[:, :-1, 1:], edges[:, 1:, 1:])
    blocks = np.concatenate(corners, axis=-1)
    blocks /= np.linalg.norm(blocks, axis=-1, keepdims=True) + _NORM_FLOOR
    colours = _average_cells(views, _COLOUR_CELLS) * _COLOUR_WEIGHT
    return np.concatenate([cells.reshape(len(views), -1) for cells in (blocks, colours)], axis=1)


def _compute_edge_cells(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum the strength of edges by direction over cells: (N, cells, cells, directions)."""
    down, across = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(across, down)
    # Without sign: a dark line on light ground is the same line as a light one on dark.
    direction = (np.arctan2(down, across) % np.pi) * np.float32(_DIRECTIONS / np.pi)
    lower = np.floor(direction)
    upper_share = direction - lower
    first = lower.astype(np.int64) % _DIRECTIONS
    second = (first + 1) % _DIRECTIONS
    cells = []
    for number in range(_DIRECTIONS):
        share = (first == number) * (1 - upper_share) + (second == number) * upper_share
        cells.append(_average_cells(strength * share, _EDGE_CELLS))
    return np.stack(cells, axis=-1)


def _average_cells(maps: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Average (N, H, W, …) over side × side cells: (N, side, side, …)."""
    count, height, width, *rest = maps.shape
    cells = maps.reshape(count, side, height // side, side, width // side, *rest)
    means: NDArray[np.float32] = cells.mean(axis=(2, 4), dtype=np.float32)
    return means
