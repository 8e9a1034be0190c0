"""Sheets of the pictures to which two bundles give different labels, with both predictions."""

import numpy as np
from numpy.typing import NDArray

from trainer.report.comparison_study import ComparisonStudy
from trainer.report.picture_sheets import Sheet, SheetPicture, convert_to_rgb

_PICTURES = 24
"""Of a sheet."""


def make_difference_sheets(study: ComparisonStudy) -> list[Sheet]:
    """Return the sheets that have pictures: those that one bundle alone has right, or neither."""
    first, second = (single.test for single in study.studies)
    is_different = first.predicted != second.predicted
    sheets = (
        _make_sheet(study, "only-first", f"Only {study.names[0]} is right", is_different & first.correct),
        _make_sheet(study, "only-second", f"Only {study.names[1]} is right", is_different & second.correct),
        _make_sheet(
            study,
            "both-wrong",
            "Both are wrong, in different ways",
            is_different & ~first.correct & ~second.correct,
        ),
    )
    return [sheet for sheet in sheets if sheet.pictures]


def _make_sheet(study: ComparisonStudy, name: str, title: str, is_shown: NDArray[np.bool_]) -> Sheet:
    pictures = study.studies[0].pictures
    if pictures is None:
        return Sheet(name, title, "", ())
    indices = np.flatnonzero(is_shown)
    surest = indices[np.argsort(-_compute_certainty(study)[indices], kind="stable")][:_PICTURES]
    shown = tuple(
        SheetPicture(convert_to_rgb(pixels), _write_lines(study, int(index)))
        for index, pixels in zip(surest, pictures.load_test(surest), strict=True)
    )
    return Sheet(name, title, _count_shown(len(shown), len(indices)), shown)


def _compute_certainty(study: ComparisonStudy) -> NDArray[np.float64]:
    """Return the higher of the two confidences for each picture, float64 (N,)."""
    first, second = (single.test.confidence for single in study.studies)
    return np.maximum(first, second)


def _write_lines(study: ComparisonStudy, index: int) -> tuple[str, ...]:
    first = study.studies[0]
    assert first.pictures is not None
    predictions = (
        f"{name}: {single.classes[single.test.predicted[index]]} {single.test.confidence[index]:.0%}"
        for name, single in zip(study.names, study.studies, strict=True)
    )
    label = first.classes[first.test.labels[index]]
    return f"is {label}", *predictions, first.pictures.test_names[index]


def _count_shown(shown: int, count: int) -> str:
    if shown < count:
        return f"{shown} of {count} pictures, those with the highest confidence first."
    return "1 picture." if count == 1 else f"{count} pictures, those with the highest confidence first."
