"""Move what is beyond doubt out of the data, into a folder beside it: never over another file."""

import errno
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.audit.examination import Examination, ExaminedImage
from trainer.data.class_folders import ClassFile, Split
from worker.errors import MoodsortError, Reason
from worker.fileio import rename_without_replacing
from worker.paths import find_free_path, format_path

_SUFFIX = "-set-aside"

_LINK_REFUSED = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2) says on file systems without hard links, such as FAT, or on files that may not have more."""

_KEEP_ORDER = (Split.TEST, Split.VALID, Split.TRAIN, None)
"""Of copies in several splits the test's stays, so that a published test is still the same one."""


class SetAsideFailed(MoodsortError):
    """A file could not be moved; it is still where it was."""


@dataclass(frozen=True, slots=True)
class MovedFile:
    """A file that was moved, from where to where, and why."""

    source: Path
    destination: Path
    reason: str


def find_superfluous(examination: Examination) -> Iterator[tuple[ClassFile, str]]:
    """Yield the files that can go, with why: those unreadable, and in each class all copies but one.

    Links are left where they are: what they lead to may be the copy that goes.
    """
    for unreadable in examination.unreadable:
        # What the system refuses to read may be whole.
        if unreadable.reason is not Reason.UNREADABLE and _is_plain(unreadable.path):
            yield unreadable.file, unreadable.detail
    copies_by_hash: dict[tuple[str, str], list[ExaminedImage]] = defaultdict(list)
    for picture in examination.pictures:
        if _is_plain(picture.file.path):
            copies_by_hash[picture.sha256, picture.file.label].append(picture)
    for copies in copies_by_hash.values():
        original, *superfluous = sorted(copies, key=lambda picture: _KEEP_ORDER.index(picture.file.split))
        for picture in superfluous:
            yield picture.file, f"the same bytes as {format_path(original.file.path)}"


def set_aside(files: Sequence[tuple[ClassFile, str]]) -> Iterator[MovedFile]:
    """Move each file to `DATA-set-aside`, below the folders that it was in, and yield it when it is done.

    A taken name gets a number. Raises SetAsideFailed; what was moved until then stays moved.
    """
    for file, reason in files:
        data = file.data.resolve()
        preferred = data.with_name(data.name + _SUFFIX) / file.path.relative_to(file.data)
        try:
            preferred.parent.mkdir(parents=True, exist_ok=True)
            destination = _move(file.path, preferred)
        except OSError as error:
            raise SetAsideFailed(
                f"{format_path(file.path)}: cannot be moved to {format_path(preferred)} ({error.strerror}); "
                "it stays"
            ) from error
        yield MovedFile(file.path, destination, reason)


def _move(source: Path, preferred: Path) -> Path:
    """Move a file to the first free name and return it."""
    while True:
        destination = find_free_path(preferred, os.path.lexists)
        try:
            _move_without_replacing(source, destination)
        except FileExistsError:
            continue  # somebody has taken the name since it was looked for
        return destination


def _move_without_replacing(source: Path, destination: Path) -> None:
    # A link first: where there are links, every file system refuses one to a taken name; of a rename only
    # some can promise that.
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _LINK_REFUSED:
            raise
        rename_without_replacing(source, destination)
        return
    try:
        source.unlink()
    except OSError:
        destination.unlink()
        raise


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
