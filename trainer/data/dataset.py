"""Read folders of class folders into arrays, through the same decoder as the worker."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.fingerprint import fingerprint_data
from trainer.data.images import DecodedFile, UnreadableFile, check_readable, read_images
from trainer.data.near_duplicates import Bits, hash_differences
from worker.errors import ConfigError
from worker.inference.decode import Pixels
from worker.inference.manifest import InputSpec
from worker.inference.preprocess import resize_to_input
from worker.paths import escape_unprintable, format_path

MIN_PICTURES = 3
"""One picture of a class for each of training, validation and test."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of one picture besides its pixels.

    `bits` and `mirror_bits` are its difference hash and its mirror image's, uint64 (8,).
    """

    file: ClassFile
    sha256: str
    bits: Bits
    mirror_bits: Bits


@dataclass(frozen=True, slots=True)
class Dataset:
    """All pictures in memory.

    `pixels` is uint8 (N, height, width, 1 or 3); `labels` int64 (N,), positions in `classes`; `bits` and
    `mirror_bits` uint64 (N, 8); `hashes` the SHA-256 of each file; `paths` where each is; `splits` the
    split of each where a person has set it by folders `train`, `valid` and `test`.
    """

    classes: tuple[str, ...]
    pixels: Pixels
    labels: NDArray[np.int64]
    bits: Bits
    mirror_bits: Bits
    hashes: tuple[str, ...]
    paths: tuple[Path, ...]
    splits: tuple[Split | None, ...]
    unreadable: tuple[UnreadableFile, ...]

    def fingerprint(self) -> str:
        """Return a SHA-256 over the files' own hashes and their labels, whatever their names and order."""
        return fingerprint_data(self.hashes, [self.classes[label] for label in self.labels])

    def count(self, label: int) -> int:
        """Count the pictures of a class."""
        return int(np.count_nonzero(self.labels == label))


def read_dataset(
    folders: Sequence[Path], spec: InputSpec, *, max_side: int, max_pixels: int, say: Callable[[str], None]
) -> Dataset:
    """Read every picture below the class folders of all folders, resized to a network's input.

    A file that cannot be read is left out and listed in `unreadable`. `max_side` and `max_pixels` as in
    `decode_photo`. Raises ConfigError where the folders do not make two classes or more with enough pictures
    in each, or most of these cannot be read.
    """
    files_by_class = find_classes(folders)
    classes = tuple(files_by_class)
    files = [file for label in classes for file in files_by_class[label]]
    say(f"reading {len(files)} files of {len(classes)} classes: {', '.join(classes)}")

    def prepare(image: DecodedFile) -> tuple[Sample, Pixels]:
        return make_sample(image), resize_to_input(image.picture.pixels, spec)

    # The system gives memory to rows that are written to, so files that are not pictures cost none.
    pixels = np.empty((len(files), spec.height, spec.width, 3 if spec.colour == "rgb" else 1), np.uint8)
    samples: list[Sample] = []
    unreadable: list[UnreadableFile] = []
    for result in read_images(files, prepare, max_pixels=max_pixels, max_side=max_side):
        if isinstance(result, UnreadableFile):
            unreadable.append(result)
            say(f"left out {result}")
        else:
            sample, pixels[len(samples)] = result
            samples.append(sample)
    check_readable(unreadable, len(files))
    check_counts(classes, samples, folders)
    return _make_dataset(classes, pixels[: len(samples)], samples, unreadable)


def make_sample(image: DecodedFile) -> Sample:
    """Hash a picture for the search for near-duplicates."""
    bits, mirror_bits = hash_differences(image.picture.pixels)
    return Sample(image.file, image.sha256, bits, mirror_bits)


def check_counts(classes: Sequence[str], samples: Sequence[Sample], folders: Sequence[Path]) -> None:
    """Raise ConfigError where a class has too few pictures to be split."""
    if not samples:
        names = ", ".join(map(format_path, folders))
        raise ConfigError(f"{names}: no file in it could be read as a picture; add pictures to each class")
    counts = Counter(sample.file.label for sample in samples)
    for label in classes:
        if counts[label] < MIN_PICTURES:
            noun = "picture" if counts[label] == 1 else "pictures"
            raise ConfigError(
                f"class {escape_unprintable(label)} has {counts[label]} readable {noun}; "
                f"add pictures until it has {MIN_PICTURES} or more, or take its folder away"
            )


def _make_dataset(
    classes: tuple[str, ...], pixels: Pixels, samples: list[Sample], unreadable: list[UnreadableFile]
) -> Dataset:
    return Dataset(
        classes=classes,
        pixels=pixels,
        labels=np.array([classes.index(sample.file.label) for sample in samples], np.int64),
        bits=np.stack([sample.bits for sample in samples]),
        mirror_bits=np.stack([sample.mirror_bits for sample in samples]),
        hashes=tuple(sample.sha256 for sample in samples),
        paths=tuple(sample.file.path for sample in samples),
        splits=tuple(sample.file.split for sample in samples),
        unreadable=tuple(unreadable),
    )
