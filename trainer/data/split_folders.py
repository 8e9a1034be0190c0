"""Plan which file of class folders is for which split, and make folders of links to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.atomic_directory import prepare_directory
from trainer.data.class_folders import ClassFile, Split
from trainer.data.dataset import Sample, check_counts, make_sample
from trainer.data.destinations import assign_destinations
from trainer.data.images import WORKING_SIDE, UnreadableFile, check_readable, read_images
from trainer.data.near_duplicates import group_images
from trainer.data.splits import HoldOutShares, Leakage, complete_splits, measure_leakage


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Which file is for which split.

    `distinct` counts the pictures, near-duplicates once; `leakages` are of splits that were given.
    """

    classes: tuple[str, ...]
    files: tuple[tuple[ClassFile, Split], ...]
    distinct: int
    leakages: tuple[Leakage, ...]
    unreadable: tuple[UnreadableFile, ...]

    def count(self, split: Split, label: str) -> int:
        """Count the pictures of a class in a split."""
        return sum(file_split is split and file.label == label for file, file_split in self.files)


@dataclass(frozen=True, slots=True)
class _LabeledSamples:
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    splits: tuple[Split | None, ...]


def plan_splits(
    files_by_class: Mapping[str, Sequence[ClassFile]],
    shares: HoldOutShares,
    seed: int,
    max_pixels: int,
    on_file: Callable[[Sample | UnreadableFile], None],
) -> SplitPlan:
    """Read the files of each class, as `find_classes` gives them, and split them by near-duplicates.

    Given splits are kept. `on_file` is called with what is known of each file. Raises ConfigError where a
    class has too few pictures, or most of them cannot be read.
    """
    classes = tuple(files_by_class)
    files = [file for class_files in files_by_class.values() for file in class_files]
    samples: list[Sample] = []
    unreadable: list[UnreadableFile] = []
    for result in read_images(files, make_sample, max_pixels=max_pixels, max_side=WORKING_SIDE):
        on_file(result)
        if isinstance(result, UnreadableFile):
            unreadable.append(result)
        else:
            samples.append(result)
    check_readable(unreadable, len(files))
    check_counts(classes, samples, list(dict.fromkeys(file.data for file in files)))
    groups = group_images(samples)
    splits = _assign_splits(classes, samples, groups, shares, seed)
    return SplitPlan(
        classes=classes,
        files=tuple((sample.file, split) for sample, split in zip(samples, splits, strict=True)),
        distinct=int(groups.max()) + 1,
        leakages=tuple(measure_leakage(splits, groups)),
        unreadable=tuple(unreadable),
    )


def link_splits(plan: SplitPlan, folders: Sequence[Path], out: Path) -> None:
    """Make a folder for each split, with its class folders of links to the files themselves.

    Raises BundleError where the disk refuses; then nothing is left.
    """
    with prepare_directory(out) as draft:
        destinations = assign_destinations(plan.files, folders)
        for (file, _), destination in zip(plan.files, destinations, strict=True):
            link = draft / destination
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.path.resolve())


def _assign_splits(
    classes: tuple[str, ...],
    samples: Sequence[Sample],
    groups: NDArray[np.int64],
    shares: HoldOutShares,
    seed: int,
) -> list[Split]:
    """Return each sample's split."""
    labels = np.array([classes.index(sample.file.label) for sample in samples], np.int64)
    given_splits = tuple(sample.file.split for sample in samples)
    indices = complete_splits(_LabeledSamples(classes, labels, given_splits), groups, shares, seed)
    splits = np.empty(len(samples), object)
    for split, positions in zip(Split, (indices.training, indices.validation, indices.test), strict=True):
        splits[positions] = split
    return list(splits)
