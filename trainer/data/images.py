"""Read the files of class folders as the worker reads photos: several at a time, in their order."""

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trainer.data.class_folders import ClassFile
from worker.errors import BadPhoto, ConfigError, Reason
from worker.inference.decode import Picture, decode_photo
from worker.paths import escape_unprintable, format_path

T = TypeVar("T")

WORKING_SIDE = 320
"""Longest side in pixels at which pictures are compared and measured before anybody trains on them."""

_READ_AHEAD = 4
"""Files per thread that are read before anybody asks for them: more would fill the memory with pictures where
whoever asks is slower than the threads."""


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """A file in a class folder, the SHA-256 of its bytes as 64 hex digits, and the picture in it."""

    file: ClassFile
    sha256: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file in a class folder that the worker could not read as a photo, and why."""

    file: ClassFile
    reason: Reason
    detail: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.file.path

    def __str__(self) -> str:
        return escape_unprintable(f"{format_path(self.path)}: {self.detail}")


def read_images(
    files: Sequence[ClassFile], transform: Callable[[DecodedFile], T], *, max_pixels: int, max_side: int
) -> Iterator[T | UnreadableFile]:
    """Read every file, and yield what `transform` makes of it, or why it cannot be read, in the files' order.

    `transform` runs in one of several threads. Pictures of more than `max_pixels` pixels are not read, larger
    ones than `max_side` are shrunk as `decode_photo` does.
    """

    def read(file: ClassFile) -> T | UnreadableFile:
        try:
            data, picture = read_image(file.path, max_pixels=max_pixels, max_side=max_side)
        except BadPhoto as error:
            return UnreadableFile(file, error.reason, error.detail)
        return transform(DecodedFile(file, hashlib.sha256(data).hexdigest(), picture))

    threads = os.cpu_count() or 1
    pending: deque[Future[T | UnreadableFile]] = deque()
    # Decoders, OpenCV and LiteRT run without Python's lock, so threads are enough.
    with ThreadPoolExecutor(threads) as pool:
        for file in files:
            pending.append(pool.submit(read, file))
            if len(pending) >= _READ_AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def check_readable(unreadable: Sequence[UnreadableFile], files: int) -> None:
    """Raise ConfigError where more than half of the pictures among that many files cannot be read.

    What is left would say little of the data. Files that are no pictures, such as sidecars, do not count.
    """
    lost = [file for file in unreadable if file.reason is not Reason.NOT_AN_IMAGE]
    pictures = files - (len(unreadable) - len(lost))
    if 2 * len(lost) > pictures:
        raise ConfigError(
            f"{len(lost)} of {pictures} pictures cannot be read, the first {lost[0]}; restore them, or take "
            "them out of the folders"
        )


def read_image(path: Path, *, max_pixels: int, max_side: int) -> tuple[bytes, Picture]:
    """Read a file's bytes and the picture in them. Raises BadPhoto where the worker could not read it."""
    try:
        # Links are followed, unlike in the inbox: `dataset split` makes them.
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise BadPhoto(Reason.UNREADABLE, "it is not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise BadPhoto(Reason.UNREADABLE, _explain_error(path, error)) from error
    return data, decode_photo(data, max_pixels=max_pixels, max_side=max_side)


def _explain_error(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"it is a link to {format_path(path.readlink())}, where nothing is"
    return f"it cannot be read ({error.strerror})"
