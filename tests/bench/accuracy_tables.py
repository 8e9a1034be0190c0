"""Write metrics as Markdown, every table with a sentence that says how it was measured."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_metrics import (
    SUREST_SHARE,
    Group,
    compare_versions,
    find_surest,
    group_by_faces,
    group_by_side,
    measure_group,
    select,
)
from tests.bench.accuracy_predictions import FolderPredictions
from trainer.evaluation.bootstrap import RESAMPLES
from trainer.evaluation.calibration import count_bins
from trainer.evaluation.comparison import PairedComparison
from worker.inference.bundle import Bundle
from worker.inference.manifest import Metric
from worker.paths import escape_unprintable, format_path

EMPTY_CELL = "–"

_INTERVAL = "95 % interval"

_MIN_P_VALUE = 0.001

_SUREST = f"surest {100 * SUREST_SHARE:g} %"

_ABOUT_INTERVALS = (
    f"Intervals are those of `moodsort evaluate`: percentiles of {RESAMPLES} resamples of whole groups of "
    "near-duplicates, and for shares at least Wilson's."
)

_ABOUT_METRICS = (
    "Accuracy is the share of pictures whose label is their folder's. Recall is the share of a class's "
    "pictures that get its label, precision the share of those with the label that are of the class. The "
    "calibration error is the mean gap between confidence and accuracy in {bins} of equally many pictures. "
    f"The {_SUREST} are those of the highest confidence, equally sure ones together. {_ABOUT_INTERVALS}"
)

_ABOUT_FACE_COUNTS = "The same pictures, by how many faces the bundle detects in each; intervals as above."

_ABOUT_FACE_SIZES = (
    "Those in which a face is detected, by the longer side of the largest bounding box in pixels of the "
    "photo; intervals as above."
)

_ABOUT_CHANGES = (
    "Each picture was changed at its full size, encoded again, as PNG but for the JPEG, and decoded and "
    "predicted from these bytes as the worker does:"
)

_ABOUT_DIFFERENCES = (
    "The difference is the accuracy minus that on the pictures as they are, its interval resampled from the "
    "same pairs and at least that of Bonett and Price (2012); p is that of McNemar's exact test. "
    f"{_ABOUT_INTERVALS}"
)


def format_accuracy_section(bundle: Bundle, folder: FolderPredictions) -> str:
    """Return the metrics of one folder; by faces as well, where the bundle detects them."""
    classes = bundle.manifest.classes
    bins = count_bins(len(folder.versions[0].labels))
    paragraphs = [
        f"### {_format_title(folder)}",
        describe_pictures(folder, classes),
        _format_metrics(folder, classes),
        _ABOUT_METRICS.format(bins=f"{bins} bins" if bins > 1 else "one bin"),
    ]
    if bundle.manifest.detection is not None:
        paragraphs += [
            _format_groups("faces detected", group_by_faces(folder, classes), classes),
            _ABOUT_FACE_COUNTS,
            _format_groups("side of the largest face", group_by_side(folder, classes), classes),
            _ABOUT_FACE_SIZES,
        ]
    return "\n\n".join(paragraphs)


def format_robustness_section(bundle: Bundle, folder: FolderPredictions) -> str:
    """Return the metrics of the pictures as they are and changed in each way."""
    classes, original = bundle.manifest.classes, folder.versions[0]
    names = ["as they are", *(change.name for change in CHANGES)]
    rows = []
    for name, version in zip(names, folder.versions, strict=True):
        accuracy, interval, *recalls = _list_shares(measure_group(name, version, classes), classes)
        comparison = None if version is original else compare_versions(original, version)
        rows.append((name, accuracy, interval, *list_difference_cells(comparison), *recalls))
    heading = ("pictures", "accuracy", _INTERVAL, "difference in points", _INTERVAL, "p")
    return "\n\n".join(
        [
            f"### Changed pictures: {_format_title(folder)}",
            describe_pictures(folder, classes),
            format_table((*heading, *_list_class_headings(classes)), rows),
            _ABOUT_CHANGES,
            "\n".join(f"- {change.name}: {change.description}" for change in CHANGES),
            _ABOUT_DIFFERENCES,
        ]
    )


def describe_pictures(folder: FolderPredictions, classes: tuple[str, ...]) -> str:
    """Say which pictures were predicted, and count the files that were skipped by their reasons."""
    labels = folder.versions[0].labels
    predicted, skipped = len(labels), len(folder.skipped)
    counts = np.bincount(labels, minlength=len(classes))
    by_class = ", ".join(f"{count} {format_cell(name)}" for count, name in zip(counts, classes, strict=True))
    split = f", of the {folder.split} split" if folder.split else ""
    sampled = predicted + skipped
    sample = f", a random sample of {sampled} of {folder.files}" if sampled < folder.files else ""
    sentence = f"{predicted} pictures ({by_class}){split}{sample}."
    if not folder.skipped:
        return f"{sentence} Every file could be read."
    counts_by_reason = Counter(file.reason.value for file in folder.skipped)
    reasons = ", ".join(f"{count} `{reason}`" for reason, count in sorted(counts_by_reason.items()))
    return f"{sentence} {skipped} {'file' if skipped == 1 else 'files'} could not be read: {reasons}."


def list_difference_cells(comparison: PairedComparison | None) -> tuple[str, str, str]:
    """Return a difference in points, its interval, and its p-value."""
    if comparison is None:
        return EMPTY_CELL, EMPTY_CELL, EMPTY_CELL
    is_tiny = comparison.p_value < _MIN_P_VALUE
    p_value = f"under {_MIN_P_VALUE:g}" if is_tiny else f"{comparison.p_value:.3f}"
    low, high = (f"{100 * end:+.1f}" for end in (comparison.low, comparison.high))
    return f"{100 * comparison.gain:+.1f}", f"{low} to {high}", p_value


def format_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(_align_cells(row, widths))} |" for row in (heading, rule, *rows))


def format_cell(text: str) -> str:
    """Return a name as it may stand in a table or a heading."""
    return escape_unprintable(text).replace("|", "\\|")


def _align_cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = row
    return [
        first.ljust(widths[0]),
        *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)),
    ]


def _format_metrics(folder: FolderPredictions, classes: tuple[str, ...]) -> str:
    predictions = folder.versions[0]
    metrics = measure_group("", predictions, classes).metrics
    surest = measure_group("", select(predictions, find_surest(predictions)), classes).metrics
    keys = [(f"{name} of {label}", (name, label)) for label in classes for name in ("recall", "precision")]
    rows = [_make_row("accuracy", metrics["accuracy", None])]
    rows += [_make_row(name, metrics[key]) for name, key in keys if key in metrics]
    rows += [
        _make_row("calibration error", metrics["calibration_error", None]),
        _make_row(f"accuracy of the {_SUREST}", surest["accuracy", None]),
    ]
    return format_table(("metric", "value", _INTERVAL, "pictures"), rows)


def _make_row(name: str, metric: Metric) -> tuple[str, str, str, str]:
    return format_cell(name), _format_value(metric), _format_interval(metric), str(metric.pictures)


def _format_groups(heading: str, groups: Sequence[Group], classes: tuple[str, ...]) -> str:
    rows = [(group.name, str(group.pictures), *_list_shares(group, classes)) for group in groups]
    return format_table((heading, "pictures", "accuracy", _INTERVAL, *_list_class_headings(classes)), rows)


def _list_class_headings(classes: tuple[str, ...]) -> list[str]:
    return [format_cell(f"recall of {name}") for name in classes]


def _list_shares(group: Group, classes: tuple[str, ...]) -> list[str]:
    """Return accuracy, its interval, and the recall of each class with its pictures and its interval."""
    accuracy = group.metrics.get(("accuracy", None))
    cells = [_format_value(accuracy), _format_interval(accuracy)] if accuracy else [EMPTY_CELL] * 2
    for name in classes:
        recall = group.metrics.get(("recall", name))
        cells.append(
            f"{_format_value(recall)} of {recall.pictures} ({_format_interval(recall)})"
            if recall
            else EMPTY_CELL
        )
    return cells


def _format_value(metric: Metric) -> str:
    return f"{metric.value:.3f}" if metric.name == "calibration_error" else f"{100 * metric.value:.1f} %"


def _format_interval(metric: Metric) -> str:
    if metric.name == "calibration_error":
        return f"{metric.low:.3f} to {metric.high:.3f}"
    return f"{100 * metric.low:.1f} to {100 * metric.high:.1f}"


def _format_title(folder: FolderPredictions) -> str:
    return format_cell(format_path(folder.data))
