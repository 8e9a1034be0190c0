"""Read folders of class folders into arrays, through the same reader as the worker."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.near_duplicates import Bits, hash_differences
from trainer.training.configuration import TrainingConfig
from worker.errors import BadPhoto, ConfigError, Reason
from worker.inference.decode import Picture, Pixels, decode_photo
from worker.inference.preprocess import resize_to_input
from worker.paths import escape_unprintable, format_path

FEWEST_PICTURES = 3
"""One picture of a class for each of training, validation and test."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of one picture that was read, beside its pixels.

    `bits` and `mirrored_bits` are its difference hash and its mirror image's, uint64 (8,).
    """

    file: ClassFile
    sha256: str
    bits: Bits
    mirrored_bits: Bits


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file in a class folder that is not a picture the worker would judge, and why."""

    file: ClassFile
    reason: Reason
    detail: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.file.path


@dataclass(frozen=True, slots=True)
class Dataset:
    """All pictures in memory.

    `pixels` is uint8 (N, height, width, 1 or 3); `labels` int64 (N,), positions in `classes`; `bits` and
    `mirrored_bits` uint64 (N, 8); `hashes` the SHA-256 of each file; `paths` where each is; `parts` what
    each is for where a person has said so by folders `train`, `valid` and `test`.
    """

    classes: tuple[str, ...]
    pixels: Pixels
    labels: NDArray[np.int64]
    bits: Bits
    mirrored_bits: Bits
    hashes: tuple[str, ...]
    paths: tuple[Path, ...]
    splits: tuple[Split | None, ...]
    unreadable: tuple[UnreadableFile, ...]

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


def read_dataset(recipe: TrainingConfig, say: Callable[[str], None]) -> Dataset:
    """Read every picture below the class folders of all the recipe's folders.

    A file that cannot be judged is left out and named in `unread`. Raises ConfigError where the folders do
    not make two classes or more with enough pictures in each.
    """
    found = find_classes(recipe.folders)
    classes = tuple(found)
    files = [file for name in classes for file in found[name]]
    say(f"reading {len(files)} files of {len(classes)} classes: {', '.join(classes)}")
    # Touched only where a picture is put, so that files which are no pictures cost no memory.
    pixels = np.empty((len(files), *_input_shape(recipe)), np.uint8)
    samples: list[Sample] = []
    unread: list[UnreadableFile] = []

    def read(file: ClassFile, row: Pixels) -> Sample | UnreadableFile:
        return _read(file, row, recipe)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for place, outcome in enumerate(pool.map(read, files, pixels)):
            if isinstance(outcome, UnreadableFile):
                unread.append(outcome)
                say(f"left out {escape_unprintable(format_path(outcome.path))}: {outcome.detail}")
                continue
            if place != len(samples):
                pixels[len(samples)] = pixels[place]
            samples.append(outcome)
    check_counts(classes, samples, recipe.folders)
    return _make_dataset(classes, pixels[: len(samples)], samples, unread)


def read_samples(
    files: Sequence[ClassFile], *, max_pixels: int, max_side: int
) -> Iterator[Sample | UnreadableFile]:
    """Read every file for what tells whether another shows the same, in the files' order."""

    def read(file: ClassFile) -> Sample | UnreadableFile:
        try:
            return _make_sample(file, *read_image(file.path, max_pixels=max_pixels, max_side=max_side))
        except BadPhoto as error:
            return UnreadableFile(file, error.reason, error.detail)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(read, files)


def read_image(path: Path, *, max_pixels: int, max_side: int) -> tuple[bytes, Picture]:
    """Read a file's bytes and the picture in them. Raises BadPhoto where there is none that is judged."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise BadPhoto(Reason.UNREADABLE, "it is no regular file")
        data = path.read_bytes()
    except OSError as error:
        raise BadPhoto(Reason.UNREADABLE, f"it cannot be read ({error.strerror})") from error
    return data, decode_photo(data, max_pixels=max_pixels, max_side=max_side)


def _input_shape(recipe: TrainingConfig) -> tuple[int, int, int]:
    return recipe.input.height, recipe.input.width, 3 if recipe.input.colour == "rgb" else 1


def _read(file: ClassFile, row: Pixels, recipe: TrainingConfig) -> Sample | UnreadableFile:
    try:
        data, picture = read_image(file.path, max_pixels=recipe.max_pixels, max_side=recipe.max_side)
    except BadPhoto as error:
        return UnreadableFile(file, error.reason, error.detail)
    row[...] = resize_to_input(picture.pixels, recipe.input)
    return _make_sample(file, data, picture)


def _make_sample(file: ClassFile, data: bytes, picture: Picture) -> Sample:
    bits, mirrored_bits = hash_differences(picture.pixels)
    return Sample(file, hashlib.sha256(data).hexdigest(), bits, mirrored_bits)


def check_counts(classes: tuple[str, ...], samples: list[Sample], folders: Sequence[Path]) -> None:
    """Raise ConfigError where a class has too few pictures to be divided."""
    if not samples:
        named = ", ".join(map(format_path, folders))
        raise ConfigError(f"{named}: no file in it could be read as a picture; add pictures to each class")
    counts = Counter(sample.file.label for sample in samples)
    for name in classes:
        if counts[name] < FEWEST_PICTURES:
            noun = "picture" if counts[name] == 1 else "pictures"
            raise ConfigError(
                f"class {escape_unprintable(name)} has {counts[name]} readable {noun}; "
                f"add pictures until it has {FEWEST_PICTURES} or more, or take its folder away"
            )


def _make_dataset(
    classes: tuple[str, ...], pixels: Pixels, samples: list[Sample], unread: list[UnreadableFile]
) -> Dataset:
    return Dataset(
        classes=classes,
        pixels=pixels,
        labels=np.array([classes.index(sample.file.label) for sample in samples], np.int64),
        bits=np.stack([sample.bits for sample in samples]),
        mirrored_bits=np.stack([sample.mirrored_bits for sample in samples]),
        hashes=tuple(sample.sha256 for sample in samples),
        paths=tuple(sample.file.path for sample in samples),
        splits=tuple(sample.file.split for sample in samples),
        unreadable=tuple(unread),
    )
