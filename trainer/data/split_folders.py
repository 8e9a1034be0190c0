"""Divide folders of class folders into train, valid and test: links to files that stay where they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.atomic_directory import prepare_directory
from trainer.data.audit.examination import WORKING_SIDE
from trainer.data.class_folders import ClassFile, Split
from trainer.data.dataset import Sample, UnreadableFile, check_counts, read_samples
from trainer.data.destinations import assign_destinations
from trainer.data.near_duplicates import group_near_duplicates
from trainer.data.splits import HoldOutShares, Leakage, complete_splits, measure_leakage


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Which picture is for what; `different` counts near-duplicates once, `measure_leakage` are of given parts."""

    classes: tuple[str, ...]
    files: tuple[tuple[ClassFile, Split], ...]
    different: int
    leakages: tuple[Leakage, ...]
    unreadable: tuple[UnreadableFile, ...]

    def count(self, part: Split, label: str) -> int:
        """Count the pictures of a class in a part."""
        return sum(own is part and file.label == label for file, own in self.files)


@dataclass(frozen=True, slots=True)
class _LabeledSamples:
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    splits: tuple[Split | None, ...]


def split_files(
    found: dict[str, list[ClassFile]],
    shares: HoldOutShares,
    seed: int,
    max_pixels: int,
    on_file: Callable[[Sample | UnreadableFile], None],
) -> SplitPlan:
    """Read the files of each class, as `find_classes` gives them, and divide them by near-duplicates.

    Parts that are given are kept. `on_file` is told of each file. Raises ConfigError where a class has too
    few pictures.
    """
    classes, samples, unread = tuple(found), [], []
    files = [file for each in found.values() for file in each]
    for outcome in read_samples(files, max_pixels=max_pixels, max_side=WORKING_SIDE):
        on_file(outcome)
        if isinstance(outcome, UnreadableFile):
            unread.append(outcome)
        else:
            samples.append(outcome)
    check_counts(classes, samples, list(dict.fromkeys(file.data for file in files)))
    groups = group_near_duplicates(
        np.stack([sample.bits for sample in samples]),
        np.stack([sample.mirrored_bits for sample in samples]),
        [sample.sha256 for sample in samples],
    )
    labels = np.array([classes.index(sample.file.label) for sample in samples], np.int64)
    given = tuple(sample.file.split for sample in samples)
    splits = complete_splits(_LabeledSamples(classes, labels, given), groups, shares, seed)
    parts = np.empty(len(samples), object)
    for part, positions in zip(Split, (splits.training, splits.validation, splits.test), strict=True):
        parts[positions] = part
    return SplitPlan(
        classes,
        tuple((sample.file, part) for sample, part in zip(samples, parts, strict=True)),
        int(groups.max()) + 1,
        tuple(measure_leakage(parts.tolist(), groups)),
        tuple(unread),
    )


def link_splits(division: SplitPlan, folders: Sequence[Path], out: Path) -> None:
    """Make a folder for each part, with its class folders of links to the files themselves.

    Raises BundleError where the disk refuses; then nothing is left.
    """
    with prepare_directory(out) as draft:
        places = assign_destinations(division.files, folders)
        for (file, _), place in zip(division.files, places, strict=True):
            link = draft / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.path.resolve())
