"""Decide from what was measured what is wrong: pure functions of an examination."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.audit.examination import Examination, ExaminedImage
from trainer.data.audit.label_issues import LabelIssues
from trainer.data.dataset import MIN_PICTURES
from trainer.data.splits import measure_leakage

_MIN_SIDE = 32
"""Pixels of the shorter side below which people, too, begin to fail: Torralba, Fergus & Freeman 2008, "80
million tiny images", fig. 2."""

_MIN_BRIGHTEST = 0.32
"""The 99th percentile of luminance below which nothing in a picture is light: CleanVision's threshold.
Measured: 0.4 % of 5509 web photos and 0.03 % of 9342 faces are below it."""

_MIN_SHARPNESS = 0.04
"""Measured: 0.1 % of 5509 web photos, none of 9342 faces of 48 pixels and 0.8 % of 5960 soft press photos of
faces are below it; of the same blurred by a Gaussian of 3 % of their side, 96, 91 and 100 %."""

_MIN_CLASS_SHARE = 0.25
"""The share of the largest class below which a class is rare: of two classes one of less than a fifth of all
pictures, from which on Google's machine learning course calls imbalance moderate rather than mild."""


class FindingKind(StrEnum):
    """What a finding is about, the gravest first."""

    UNREADABLE = "unreadable"
    TWO_CLASSES = "two_classes"
    ACROSS_SPLITS = "across_splits"
    EXACT_DUPLICATE = "exact_duplicate"
    FEW_PICTURES = "few_pictures"
    NEAR_TWO_CLASSES = "near_two_classes"
    NEAR_ACROSS_SPLITS = "near_across_splits"
    WRONG_LABEL = "wrong_label"
    NEAR_DUPLICATE = "near_duplicate"
    RARE_CLASS = "rare_class"
    TINY = "tiny"
    DARK = "dark"
    BLURRED = "blurred"


CERTAIN = frozenset(
    {
        FindingKind.UNREADABLE,
        FindingKind.TWO_CLASSES,
        FindingKind.ACROSS_SPLITS,
        FindingKind.EXACT_DUPLICATE,
        FindingKind.FEW_PICTURES,
    }
)
"""The kinds that no look at the pictures can refute: the same bytes are the same picture."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something to look at: its kind, the files that it is about, and a sentence."""

    kind: FindingKind
    paths: tuple[Path, ...]
    detail: str

    @property
    def is_certain(self) -> bool:
        """Whether it is beyond doubt."""
        return self.kind in CERTAIN

    def is_unresolved(self, moved: AbstractSet[Path]) -> bool:
        """Tell whether it is beyond doubt and still true now that these files have been moved away."""
        if not self.is_certain:
            return False
        if self.kind is FindingKind.FEW_PICTURES:
            return True
        remaining = len(set(self.paths) - moved)
        # One unreadable file is one too many; of copies one may stay.
        return remaining > (0 if self.kind is FindingKind.UNREADABLE else 1)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The findings, the gravest first, and sentences about the data as a whole."""

    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...]


def collect_findings(
    examination: Examination, groups: NDArray[np.int64], label_issues: LabelIssues | None
) -> AuditReport:
    """Gather every finding: what the files are, which are the same, and what each picture is like.

    `groups` is int64 (N,), the number of each picture's group of near-duplicates.
    """
    findings = [
        *_find_unreadable(examination),
        *_find_exact_duplicates(examination.pictures),
        *_find_near_duplicates(examination.pictures, groups),
        *(_find_label_issues(examination, label_issues) if label_issues else ()),
        *_check_class_sizes(examination),
        *_find_poor_images(examination.pictures),
    ]
    order = {kind: index for index, kind in enumerate(FindingKind)}
    findings.sort(key=lambda finding: order[finding.kind])
    splits = [picture.file.split for picture in examination.pictures]
    notes = [f"leakage: {leakage}" for leakage in (measure_leakage(splits, groups) if any(splits) else ())]
    if label_issues:
        notes.append(str(label_issues))
    return AuditReport(tuple(findings), tuple(notes))


def _find_unreadable(examination: Examination) -> Iterator[AuditFinding]:
    for file in examination.unreadable:
        yield AuditFinding(FindingKind.UNREADABLE, (file.path,), file.detail)


def _find_exact_duplicates(pictures: Sequence[ExaminedImage]) -> Iterator[AuditFinding]:
    pictures_by_hash: dict[str, list[ExaminedImage]] = defaultdict(list)
    for picture in pictures:
        pictures_by_hash[picture.sha256].append(picture)
    for copies in pictures_by_hash.values():
        if len(copies) > 1:
            kind = _choose_kind(
                copies, FindingKind.TWO_CLASSES, FindingKind.ACROSS_SPLITS, FindingKind.EXACT_DUPLICATE
            )
            yield AuditFinding(kind, _list_paths(copies), f"the same bytes {_describe_locations(copies)}")


def _find_near_duplicates(
    pictures: Sequence[ExaminedImage], groups: NDArray[np.int64]
) -> Iterator[AuditFinding]:
    pictures_by_group: dict[int, list[ExaminedImage]] = defaultdict(list)
    for picture, group in zip(pictures, groups.tolist(), strict=True):
        pictures_by_group[group].append(picture)
    for copies in pictures_by_group.values():
        if len({picture.sha256 for picture in copies}) > 1:
            kind = _choose_kind(
                copies,
                FindingKind.NEAR_TWO_CLASSES,
                FindingKind.NEAR_ACROSS_SPLITS,
                FindingKind.NEAR_DUPLICATE,
            )
            detail = f"nearly the same picture {_describe_locations(copies)}"
            yield AuditFinding(kind, _list_paths(copies), detail)


def _choose_kind(
    copies: Sequence[ExaminedImage],
    two_classes: FindingKind,
    across_splits: FindingKind,
    otherwise: FindingKind,
) -> FindingKind:
    if len({picture.file.label for picture in copies}) > 1:
        return two_classes
    return across_splits if len({picture.file.split for picture in copies}) > 1 else otherwise


def _describe_locations(copies: Sequence[ExaminedImage]) -> str:
    counts = Counter(
        f"{picture.file.split}/{picture.file.label}" if picture.file.split else picture.file.label
        for picture in copies
    )
    times = {1: "", 2: "twice "}
    locations = [f"{times.get(count, f'{count} times ')}in {name}" for name, count in counts.items()]
    return " and ".join(locations)


def _list_paths(pictures: Iterable[ExaminedImage]) -> tuple[Path, ...]:
    return tuple(picture.file.path for picture in pictures)


def _find_label_issues(examination: Examination, label_issues: LabelIssues) -> Iterator[AuditFinding]:
    for issue in label_issues.issues:
        picture = examination.pictures[issue.position]
        likely = examination.classes[issue.likely]
        detail = f"filed as {picture.file.label}, looks like {likely} ({issue.probability:.0%})"
        yield AuditFinding(FindingKind.WRONG_LABEL, (picture.file.path,), detail)


def _check_class_sizes(examination: Examination) -> Iterator[AuditFinding]:
    counts = dict.fromkeys(examination.classes, 0) | Counter(
        picture.file.label for picture in examination.pictures
    )
    largest = max(counts, key=counts.__getitem__)
    for label, count in counts.items():
        if count < MIN_PICTURES:
            detail = f"class {label} has {count} readable of the {MIN_PICTURES} pictures that training needs"
            yield AuditFinding(FindingKind.FEW_PICTURES, (), detail)
        elif count < _MIN_CLASS_SHARE * counts[largest]:
            detail = f"class {label} has {count} pictures, {largest} has {counts[largest]}"
            yield AuditFinding(FindingKind.RARE_CLASS, (), detail)


def _find_poor_images(pictures: Sequence[ExaminedImage]) -> Iterator[AuditFinding]:
    # One finding a picture: a tiny or dark one is mostly blurred as well.
    for picture in pictures:
        path = (picture.file.path,)
        if min(picture.width, picture.height) < _MIN_SIDE:
            yield AuditFinding(FindingKind.TINY, path, f"{picture.width} × {picture.height} pixels")
        elif picture.brightest < _MIN_BRIGHTEST:
            detail = f"its brightest areas reach {picture.brightest:.0%} of white"
            yield AuditFinding(FindingKind.DARK, path, detail)
        elif picture.sharpness < _MIN_SHARPNESS:
            detail = f"its sharpness is {picture.sharpness:.3f}, below {_MIN_SHARPNESS}"
            yield AuditFinding(FindingKind.BLURRED, path, detail)
