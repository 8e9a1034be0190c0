"""Decide from what was measured what is wrong: pure functions of an examination."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.audit.examination import Examination, ExaminedImage
from trainer.data.audit.label_issues import LabelIssues
from trainer.data.near_duplicates import group_near_duplicates
from trainer.data.splits import measure_leakage

TINIEST_SIDE = 32
"""Pixels of the shorter side under which people, too, begin to fail: Torralba, Fergus & Freeman 2008, "80
million tiny images", fig. 2."""

DARKEST = 0.32
"""The 99th percentile of luminance under which nothing in a picture is light: CleanVision's threshold.
Measured: 0.4 % of 5509 web photos and 0.03 % of 9342 faces are under it."""

BLURRIEST = 0.04
"""Measured: 0.1 % of 5509 web photos, none of 9342 faces of 48 pixels and 0.8 % of 5960 soft press photos of
faces are under it; of the same blurred by a Gaussian of 3 % of their side, 96, 91 and 100 %."""

RAREST = 0.25
"""The share of the largest class under which a class is rare: of two classes one of less than a fifth of all
pictures, from which on Google's machine learning course calls imbalance moderate rather than mild."""

FEWEST_PICTURES = 3
"""One for each of training, validation and test; training refuses a class of less."""


class FindingKind(StrEnum):
    """What a finding is about, the gravest first."""

    UNREADABLE = "unreadable"
    TWO_CLASSES = "two_classes"
    ACROSS_PARTS = "across_parts"
    EXACT_DUPLICATE = "exact_duplicate"
    FEW_PICTURES = "few_pictures"
    NEAR_TWO_CLASSES = "near_two_classes"
    NEAR_ACROSS_PARTS = "near_across_parts"
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
        FindingKind.ACROSS_PARTS,
        FindingKind.EXACT_DUPLICATE,
        FindingKind.FEW_PICTURES,
    }
)
"""The kinds that no look at the pictures can make good: the same bytes are the same picture."""


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


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The findings, the gravest first, and sentences about the data as a whole."""

    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...]


def collect_labels(examination: Examination) -> NDArray[np.int64]:
    """Return the label of each picture, int64 (N,), positions in the classes."""
    number = {name: place for place, name in enumerate(examination.classes)}
    return np.array([number[picture.file.label] for picture in examination.pictures], np.int64)


def group_images(pictures: Sequence[ExaminedImage]) -> NDArray[np.int64]:
    """Return the number of each picture's group of near-duplicates, int64 (N,)."""
    if not pictures:
        return np.zeros(0, np.int64)
    return group_near_duplicates(
        np.stack([picture.bits for picture in pictures]),
        np.stack([picture.mirrored_bits for picture in pictures]),
        [picture.sha256 for picture in pictures],
    )


def collect_findings(
    examination: Examination, groups: NDArray[np.int64], doubts: LabelIssues | None
) -> AuditReport:
    """Gather every finding: what the files are, which are the same, and what each picture is like."""
    found = [
        *_find_unreadable(examination),
        *_find_exact_duplicates(examination.pictures),
        *_find_near_duplicates(examination.pictures, groups),
        *(_find_label_issues(examination, doubts) if doubts else ()),
        *_check_class_sizes(examination),
        *_find_poor_images(examination.pictures),
    ]
    order = {kind: place for place, kind in enumerate(FindingKind)}
    found.sort(key=lambda finding: order[finding.kind])
    parts = [picture.file.split for picture in examination.pictures]
    notes = [f"leakage: {leakage}" for leakage in (measure_leakage(parts, groups) if any(parts) else ())]
    if doubts:
        notes.append(str(doubts))
    return AuditReport(tuple(found), tuple(notes))


def _find_unreadable(examination: Examination) -> Iterator[AuditFinding]:
    for unread in examination.unreadable:
        yield AuditFinding(FindingKind.UNREADABLE, (unread.path,), unread.detail)


def _find_exact_duplicates(pictures: Sequence[ExaminedImage]) -> Iterator[AuditFinding]:
    by_hash: dict[str, list[ExaminedImage]] = defaultdict(list)
    for picture in pictures:
        by_hash[picture.sha256].append(picture)
    for same in by_hash.values():
        if len(same) > 1:
            kind = _choose_kind(
                same, FindingKind.TWO_CLASSES, FindingKind.ACROSS_PARTS, FindingKind.EXACT_DUPLICATE
            )
            yield AuditFinding(kind, _list_paths(same), f"the same bytes {_describe_locations(same)}")


def _find_near_duplicates(
    pictures: Sequence[ExaminedImage], groups: NDArray[np.int64]
) -> Iterator[AuditFinding]:
    by_group: dict[int, list[ExaminedImage]] = defaultdict(list)
    for picture, group in zip(pictures, groups.tolist(), strict=True):
        by_group[group].append(picture)
    for twins in by_group.values():
        if len({picture.sha256 for picture in twins}) > 1:
            kind = _choose_kind(
                twins, FindingKind.NEAR_TWO_CLASSES, FindingKind.NEAR_ACROSS_PARTS, FindingKind.NEAR_DUPLICATE
            )
            yield AuditFinding(
                kind, _list_paths(twins), f"nearly the same picture {_describe_locations(twins)}"
            )


def _choose_kind(
    twins: Sequence[ExaminedImage],
    two_classes: FindingKind,
    across_parts: FindingKind,
    otherwise: FindingKind,
) -> FindingKind:
    if len({picture.file.label for picture in twins}) > 1:
        return two_classes
    return across_parts if len({picture.file.split for picture in twins}) > 1 else otherwise


def _describe_locations(twins: Sequence[ExaminedImage]) -> str:
    places = Counter(
        f"{picture.file.split}/{picture.file.label}" if picture.file.split else picture.file.label
        for picture in twins
    )
    times = {1: "", 2: "twice "}
    counted = [f"{times.get(count, f'{count} times ')}in {name}" for name, count in places.items()]
    return " and ".join(counted)


def _list_paths(pictures: Iterable[ExaminedImage]) -> tuple[Path, ...]:
    return tuple(picture.file.path for picture in pictures)


def _find_label_issues(examination: Examination, doubts: LabelIssues) -> Iterator[AuditFinding]:
    for doubt in doubts.found:
        picture = examination.pictures[doubt.position]
        likely = examination.classes[doubt.likely]
        detail = f"filed as {picture.file.label}, looks like {likely} ({doubt.probability:.0%})"
        yield AuditFinding(FindingKind.WRONG_LABEL, (picture.file.path,), detail)


def _check_class_sizes(examination: Examination) -> Iterator[AuditFinding]:
    counts = dict.fromkeys(examination.classes, 0) | Counter(
        picture.file.label for picture in examination.pictures
    )
    largest = max(counts, key=counts.__getitem__)
    for name, count in counts.items():
        if count < FEWEST_PICTURES:
            detail = (
                f"class {name} has {count} readable of the {FEWEST_PICTURES} pictures that training needs"
            )
            yield AuditFinding(FindingKind.FEW_PICTURES, (), detail)
        elif count < RAREST * counts[largest]:
            detail = f"class {name} has {count} pictures, {largest} has {counts[largest]}"
            yield AuditFinding(FindingKind.RARE_CLASS, (), detail)


def _find_poor_images(pictures: Sequence[ExaminedImage]) -> Iterator[AuditFinding]:
    for picture in pictures:
        path = (picture.file.path,)
        if min(picture.width, picture.height) < TINIEST_SIDE:
            yield AuditFinding(FindingKind.TINY, path, f"{picture.width} × {picture.height} pixels")
        elif picture.brightest < DARKEST:
            yield AuditFinding(
                FindingKind.DARK, path, f"its brightest parts reach {picture.brightest:.0%} of white"
            )
        elif picture.sharpness < BLURRIEST:
            yield AuditFinding(
                FindingKind.BLURRED, path, f"sharpness {picture.sharpness:.3f} of the {BLURRIEST} wanted"
            )
