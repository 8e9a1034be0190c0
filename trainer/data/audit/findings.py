"""Decide from what was measured what is wrong: pure functions of an examination."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.audit.examination import Examination, Examined
from trainer.data.audit.label_issues import Doubts
from trainer.data.near_duplicates import near_duplicate_groups
from trainer.data.splits import leakages

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


class Kind(StrEnum):
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
    {Kind.UNREADABLE, Kind.TWO_CLASSES, Kind.ACROSS_PARTS, Kind.EXACT_DUPLICATE, Kind.FEW_PICTURES}
)
"""The kinds that no look at the pictures can make good: the same bytes are the same picture."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: its kind, the files that it is about, and a sentence."""

    kind: Kind
    paths: tuple[Path, ...]
    detail: str

    @property
    def is_certain(self) -> bool:
        """Whether it is beyond doubt."""
        return self.kind in CERTAIN


@dataclass(frozen=True, slots=True)
class Judged:
    """The findings, the gravest first, and sentences about the data as a whole."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def labels_of(examination: Examination) -> NDArray[np.int64]:
    """Return the label of each picture, int64 (N,), positions in the classes."""
    number = {name: place for place, name in enumerate(examination.classes)}
    return np.array([number[picture.file.label] for picture in examination.pictures], np.int64)


def groups_of(pictures: Sequence[Examined]) -> NDArray[np.int64]:
    """Return the number of each picture's group of near-duplicates, int64 (N,)."""
    if not pictures:
        return np.zeros(0, np.int64)
    return near_duplicate_groups(
        np.stack([picture.bits for picture in pictures]),
        np.stack([picture.mirrored_bits for picture in pictures]),
        [picture.sha256 for picture in pictures],
    )


def judge(examination: Examination, groups: NDArray[np.int64], doubts: Doubts | None) -> Judged:
    """Gather every finding: what the files are, which are the same, and what each picture is like."""
    found = [
        *_unreadable(examination),
        *_same_bytes(examination.pictures),
        *_near_twins(examination.pictures, groups),
        *(_wrong_labels(examination, doubts) if doubts else ()),
        *_class_sizes(examination),
        *_poor_pictures(examination.pictures),
    ]
    order = {kind: place for place, kind in enumerate(Kind)}
    found.sort(key=lambda finding: order[finding.kind])
    parts = [picture.file.part for picture in examination.pictures]
    notes = [f"leakage: {leakage}" for leakage in (leakages(parts, groups) if any(parts) else ())]
    if doubts:
        notes.append(str(doubts))
    return Judged(tuple(found), tuple(notes))


def _unreadable(examination: Examination) -> Iterator[Finding]:
    for unread in examination.unread:
        yield Finding(Kind.UNREADABLE, (unread.path,), unread.detail)


def _same_bytes(pictures: Sequence[Examined]) -> Iterator[Finding]:
    by_hash: dict[str, list[Examined]] = defaultdict(list)
    for picture in pictures:
        by_hash[picture.sha256].append(picture)
    for same in by_hash.values():
        if len(same) > 1:
            kind = _kind_of(same, Kind.TWO_CLASSES, Kind.ACROSS_PARTS, Kind.EXACT_DUPLICATE)
            yield Finding(kind, _paths(same), f"the same bytes {_where(same)}")


def _near_twins(pictures: Sequence[Examined], groups: NDArray[np.int64]) -> Iterator[Finding]:
    by_group: dict[int, list[Examined]] = defaultdict(list)
    for picture, group in zip(pictures, groups.tolist(), strict=True):
        by_group[group].append(picture)
    for twins in by_group.values():
        if len({picture.sha256 for picture in twins}) > 1:
            kind = _kind_of(twins, Kind.NEAR_TWO_CLASSES, Kind.NEAR_ACROSS_PARTS, Kind.NEAR_DUPLICATE)
            yield Finding(kind, _paths(twins), f"nearly the same picture {_where(twins)}")


def _kind_of(twins: Sequence[Examined], two_classes: Kind, across_parts: Kind, otherwise: Kind) -> Kind:
    if len({picture.file.label for picture in twins}) > 1:
        return two_classes
    return across_parts if len({picture.file.part for picture in twins}) > 1 else otherwise


def _where(twins: Sequence[Examined]) -> str:
    places = Counter(
        f"{picture.file.part}/{picture.file.label}" if picture.file.part else picture.file.label
        for picture in twins
    )
    times = {1: "", 2: "twice "}
    counted = [f"{times.get(count, f'{count} times ')}in {name}" for name, count in places.items()]
    return " and ".join(counted)


def _paths(pictures: Iterable[Examined]) -> tuple[Path, ...]:
    return tuple(picture.file.path for picture in pictures)


def _wrong_labels(examination: Examination, doubts: Doubts) -> Iterator[Finding]:
    for doubt in doubts.found:
        picture = examination.pictures[doubt.position]
        likely = examination.classes[doubt.likely]
        detail = f"filed as {picture.file.label}, looks like {likely} ({doubt.probability:.0%})"
        yield Finding(Kind.WRONG_LABEL, (picture.file.path,), detail)


def _class_sizes(examination: Examination) -> Iterator[Finding]:
    counts = dict.fromkeys(examination.classes, 0) | Counter(
        picture.file.label for picture in examination.pictures
    )
    largest = max(counts, key=counts.__getitem__)
    for name, count in counts.items():
        if count < FEWEST_PICTURES:
            detail = (
                f"class {name} has {count} readable of the {FEWEST_PICTURES} pictures that training needs"
            )
            yield Finding(Kind.FEW_PICTURES, (), detail)
        elif count < RAREST * counts[largest]:
            detail = f"class {name} has {count} pictures, {largest} has {counts[largest]}"
            yield Finding(Kind.RARE_CLASS, (), detail)


def _poor_pictures(pictures: Sequence[Examined]) -> Iterator[Finding]:
    for picture in pictures:
        path = (picture.file.path,)
        if min(picture.width, picture.height) < TINIEST_SIDE:
            yield Finding(Kind.TINY, path, f"{picture.width} × {picture.height} pixels")
        elif picture.brightest < DARKEST:
            yield Finding(Kind.DARK, path, f"its brightest parts reach {picture.brightest:.0%} of white")
        elif picture.sharpness < BLURRIEST:
            yield Finding(Kind.BLURRED, path, f"sharpness {picture.sharpness:.3f} of the {BLURRIEST} wanted")
