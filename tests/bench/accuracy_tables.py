"""Write what was measured as Markdown, every figure with a sentence that says how it was got."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_figures import (
    SURE_SHARE,
    Group,
    by_faces,
    by_side,
    difference,
    measured_group,
    surest,
    taken,
)
from tests.bench.accuracy_judging import Seen
from trainer.evaluation.bootstrap import RESAMPLES
from trainer.evaluation.calibration import count_bins
from trainer.evaluation.comparison import PairedComparison
from worker.inference.bundle import Bundle, Metric
from worker.paths import escape_unprintable, format_path

NOTHING = "–"

_INTERVAL = "95 % interval"

_LEAST_P = 0.001

_SURE = f"surest {100 * SURE_SHARE:g} %"

_HOW_INTERVALS = (
    f"Intervals are those of `moodsort evaluate`: the percentiles of {RESAMPLES} draws of whole groups of "
    "near-duplicates, and for shares at least Wilson's."
)

_HOW_FIGURES = (
    "Accuracy is the share of pictures whose label is their folder's. Recall is the share of a class's "
    "pictures that got its label, precision the share of those with the label that are of the class. The "
    "calibration error is the mean gap between confidence and accuracy in {bins} of equally many pictures. "
    f"The {_SURE} are those of the highest confidence, equally sure ones together. {_HOW_INTERVALS}"
)

_HOW_COUNTED = "The same pictures, by how many faces the bundle found in each; intervals as above."

_HOW_SIZED = (
    "Those in which a face was found, by the longer side of the largest face's box in pixels of the photo; "
    "intervals as above."
)

_HOW_CHANGED = (
    "Each picture was changed at its full size, encoded again, as PNG but for the JPEG, and read and judged "
    "from these bytes as the worker does:"
)

_HOW_DIFFERENT = (
    "The difference is the accuracy less that on the pictures as they are, its interval resampled from the "
    "same pairs and at least that of Bonett and Price (2012); p is that of McNemar's exact test. "
    f"{_HOW_INTERVALS}"
)


def accuracy_section(bundle: Bundle, seen: Seen) -> str:
    """Write the figures of one folder of class folders; by faces as well where the bundle finds them."""
    classes, answers = bundle.manifest.classes, seen.answers[0]
    bins = count_bins(len(answers.labels))
    parts = [
        f"### {_title(seen)}",
        judged_sentence(seen, classes),
        _figures(seen, classes),
        _HOW_FIGURES.format(bins=f"{bins} bins" if bins > 1 else "one bin"),
    ]
    if bundle.manifest.faces is not None:
        parts += [
            _groups("faces found", by_faces(seen, classes), classes),
            _HOW_COUNTED,
            _groups("side of the largest face", by_side(seen, classes), classes),
            _HOW_SIZED,
        ]
    return "\n\n".join(parts)


def robustness_section(bundle: Bundle, seen: Seen) -> str:
    """Write the figures of the pictures as they are and changed in each way."""
    classes, clean = bundle.manifest.classes, seen.answers[0]
    names = ["as they are", *(change.name for change in CHANGES)]
    rows = []
    for name, answers in zip(names, seen.answers, strict=True):
        accuracy, interval, *recalls = _shares(measured_group(name, answers, classes), classes)
        against = difference_cells(None if answers is clean else difference(clean, answers))
        rows.append((name, accuracy, interval, *against, *recalls))
    heading = ("pictures", "accuracy", _INTERVAL, "difference in points", _INTERVAL, "p")
    return "\n\n".join(
        [
            f"### Changed pictures: {_title(seen)}",
            judged_sentence(seen, classes),
            table((*heading, *_heading_of(classes)), rows),
            _HOW_CHANGED,
            "\n".join(f"- {change.name}: {change.how}" for change in CHANGES),
            _HOW_DIFFERENT,
        ]
    )


def judged_sentence(seen: Seen, classes: tuple[str, ...]) -> str:
    """Say which pictures were judged, and count those that could not be."""
    labels = seen.answers[0].labels
    judged, unjudged = len(labels), len(seen.unjudged)
    counts = np.bincount(labels, minlength=len(classes))
    of_classes = ", ".join(f"{count} {cell(name)}" for count, name in zip(counts, classes, strict=True))
    part = f", of the {seen.split} part" if seen.split else ""
    drawn = f", a draw of {judged + unjudged} of {seen.files}" if judged + unjudged < seen.files else ""
    sentence = f"{judged} pictures ({of_classes}){part}{drawn}."
    if not seen.unjudged:
        return f"{sentence} Every file could be judged."
    reasons = Counter(each.reason for each in seen.unjudged)
    told = ", ".join(f"{count} `{reason}`" for reason, count in sorted(reasons.items()))
    return f"{sentence} {unjudged} {'file' if unjudged == 1 else 'files'} could not be judged: {told}."


def difference_cells(found: PairedComparison | None) -> tuple[str, str, str]:
    """Write a difference in points, its interval, and the probability that it is chance."""
    if found is None:
        return NOTHING, NOTHING, NOTHING
    p_value = f"under {_LEAST_P:g}" if found.p_value < _LEAST_P else f"{found.p_value:.3f}"
    low, high = (f"{100 * end:+.1f}" for end in (found.low, found.high))
    return f"{100 * found.gain:+.1f}", f"{low} to {high}", p_value


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose columns line up; the first is flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(_aligned(row, widths))} |" for row in (heading, rule, *rows))


def cell(text: str) -> str:
    """Return a name as it may stand in a table or a heading."""
    return escape_unprintable(text).replace("|", "\\|")


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = row
    return [
        first.ljust(widths[0]),
        *(text.rjust(width) for text, width in zip(others, widths[1:], strict=True)),
    ]


def _figures(seen: Seen, classes: tuple[str, ...]) -> str:
    answers = seen.answers[0]
    found = measured_group("", answers, classes).metrics
    sure = measured_group("", taken(answers, surest(answers)), classes).metrics
    keys = [(f"{name} of {label}", (name, label)) for label in classes for name in ("recall", "precision")]
    rows = [_row("accuracy", found["accuracy", None])]
    rows += [_row(name, found[key]) for name, key in keys if key in found]
    rows += [
        _row("calibration error", found["calibration_error", None]),
        _row(f"accuracy of the {_SURE}", sure["accuracy", None]),
    ]
    return table(("figure", "value", _INTERVAL, "pictures"), rows)


def _row(name: str, metric: Metric) -> tuple[str, str, str, str]:
    return cell(name), _value(metric), _interval(metric), str(metric.pictures)


def _groups(what: str, groups: Sequence[Group], classes: tuple[str, ...]) -> str:
    rows = [(group.name, str(group.pictures), *_shares(group, classes)) for group in groups]
    return table((what, "pictures", "accuracy", _INTERVAL, *_heading_of(classes)), rows)


def _heading_of(classes: tuple[str, ...]) -> list[str]:
    return [cell(f"of {name} right") for name in classes]


def _shares(group: Group, classes: tuple[str, ...]) -> list[str]:
    """Write accuracy, its interval, and for each class how many of its pictures are right."""
    accuracy = group.metrics.get(("accuracy", None))
    cells = [_value(accuracy), _interval(accuracy)] if accuracy else [NOTHING, NOTHING]
    for name in classes:
        recall = group.metrics.get(("recall", name))
        cells.append(f"{_value(recall)} of {recall.pictures} ({_interval(recall)})" if recall else NOTHING)
    return cells


def _value(metric: Metric) -> str:
    return f"{metric.value:.3f}" if metric.name == "calibration_error" else f"{100 * metric.value:.1f} %"


def _interval(metric: Metric) -> str:
    if metric.name == "calibration_error":
        return f"{metric.low:.3f} to {metric.high:.3f}"
    return f"{100 * metric.low:.1f} to {100 * metric.high:.1f}"


def _title(seen: Seen) -> str:
    return cell(format_path(seen.data))
