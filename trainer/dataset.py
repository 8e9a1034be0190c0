"""Read folders of class folders into arrays, through the same reader as the worker."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.near_duplicates import Bits, difference_bits
from trainer.recipe import Recipe
from worker.errors import BadPhoto, ConfigError
from worker.imaging import Pixels, fit, read_picture
from worker.names import raw, shown

FEWEST_PICTURES = 3
"""One picture of a class for each of training, validation and test."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture that was read, and what it was read from.

    `pixels` is uint8 (height, width, 1 or 3), as the model takes it; `bits` and `mirrored_bits` are its
    difference hash and its mirror image's, uint64 (8,).
    """

    path: Path
    label: int
    sha256: str
    pixels: Pixels
    bits: Bits
    mirrored_bits: Bits


@dataclass(frozen=True, slots=True)
class Unread:
    """A file in a class folder that is not a picture the worker would judge, and why."""

    path: Path
    detail: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """All pictures in memory.

    `pixels` is uint8 (N, height, width, 1 or 3); `labels` int64 (N,), positions in `classes`; `bits` and
    `mirrored_bits` uint64 (N, 8); `hashes` the SHA-256 of each file.
    """

    classes: tuple[str, ...]
    pixels: Pixels
    labels: NDArray[np.int64]
    bits: Bits
    mirrored_bits: Bits
    hashes: tuple[str, ...]
    unread: tuple[Unread, ...]

    def fingerprint(self) -> str:
        """Return a SHA-256 over the files' own hashes and their labels, whatever their names and order."""
        lines = sorted(
            f"{sha256} {self.classes[label]}\n"
            for sha256, label in zip(self.hashes, self.labels, strict=True)
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def count(self, label: int) -> int:
        """Count the pictures of a class."""
        return int(np.count_nonzero(self.labels == label))


def read_dataset(recipe: Recipe, say: Callable[[str], None]) -> Dataset:
    """Read every picture below the class folders of all the recipe's folders.

    A file that cannot be judged is left out and named in `unread`. Raises ConfigError where the folders do
    not make two classes or more with enough pictures in each.
    """
    found = find_classes(recipe.folders)
    classes = tuple(sorted(found))
    paths = [path for name in classes for path in found[name]]
    labels = [label for label, name in enumerate(classes) for _ in found[name]]
    say(f"reading {len(paths)} files of {len(classes)} classes: {', '.join(classes)}")
    samples: list[Sample] = []
    unread: list[Unread] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for outcome in pool.map(_read, paths, labels, repeat(recipe)):
            if isinstance(outcome, Sample):
                samples.append(outcome)
            else:
                unread.append(outcome)
                say(f"left out {shown(outcome.path)}: {outcome.detail}")
    _check_counts(classes, samples, recipe.folders)
    return _stacked(classes, samples, unread)


def find_classes(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files of each class, by its name, over all folders.

    Raises ConfigError where there are not two classes or more.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"{folder}: is not a folder; name a folder that holds one folder for each class"
            )
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.name.startswith("."):
                if raw(child) is not None:
                    raise ConfigError(f"{shown(child)}: its name is not UTF-8; give the class another name")
                found[child.name].extend(_files(child))
    if len(found) < 2:
        held = f"one class folder, {next(iter(found))}" if found else "no class folders"
        named = ", ".join(str(folder) for folder in folders)
        raise ConfigError(f"{named}: {held}; put each class's pictures in a folder of its own, two or more")
    return found


def _files(folder: Path) -> Iterator[Path]:
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _read(path: Path, label: int, recipe: Recipe) -> Sample | Unread:
    try:
        data = path.read_bytes()
        picture = read_picture(data, max_pixels=recipe.max_pixels, working_side=recipe.working_side)
    except BadPhoto as error:
        return Unread(path, error.detail)
    except OSError as error:
        return Unread(path, f"cannot be read ({error.strerror})")
    return Sample(
        path=path,
        label=label,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels=fit(picture.pixels, recipe.input),
        bits=difference_bits(picture.pixels),
        mirrored_bits=difference_bits(np.ascontiguousarray(picture.pixels[:, ::-1])),
    )


def _check_counts(classes: tuple[str, ...], samples: list[Sample], folders: Sequence[Path]) -> None:
    if not samples:
        named = ", ".join(str(folder) for folder in folders)
        raise ConfigError(f"{named}: no file in it could be read as a picture; add pictures to each class")
    for label, name in enumerate(classes):
        count = sum(sample.label == label for sample in samples)
        if count < FEWEST_PICTURES:
            raise ConfigError(
                f"class {name} has {count} readable pictures; "
                f"add pictures until it has {FEWEST_PICTURES} or more, or take its folder away"
            )


def _stacked(classes: tuple[str, ...], samples: list[Sample], unread: list[Unread]) -> Dataset:
    return Dataset(
        classes=classes,
        pixels=np.stack([sample.pixels for sample in samples]),
        labels=np.array([sample.label for sample in samples], np.int64),
        bits=np.stack([sample.bits for sample in samples]),
        mirrored_bits=np.stack([sample.mirrored_bits for sample in samples]),
        hashes=tuple(sample.sha256 for sample in samples),
        unread=tuple(unread),
    )
