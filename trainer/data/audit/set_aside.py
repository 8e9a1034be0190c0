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
from worker.paths import format_path, number_name

_SUFFIX = "-set-aside"

_LINK_REFUSED = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2) says on file systems without hard links, such as FAT, or on files that may not have more."""

_KEPT_FIRST = (Split.TEST, Split.VALID, Split.TRAIN, None)
"""Of copies in several parts the test's stays, so that a published test is still the same one."""


class SetAsideFailed(MoodsortError):
    """A file could not be moved; it is still where it was."""


@dataclass(frozen=True, slots=True)
class MovedFile:
    """A file that was moved, from where to where, and why."""

    source: Path
    destination: Path
    reason: str


def find_superfluous(examination: Examination) -> Iterator[tuple[ClassFile, str]]:
    """Name the files that are beyond doubt: those unreadable, and in each class all copies but one.

    Links are left where they are: what they lead to may be the copy that goes.
    """
    for unread in examination.unreadable:
        # What the system refuses to read may be whole.
        if unread.reason is not Reason.UNREADABLE and _is_plain(unread.file.path):
            yield unread.file, unread.detail
    by_hash: dict[tuple[str, str], list[ExaminedImage]] = defaultdict(list)
    for picture in examination.pictures:
        if _is_plain(picture.file.path):
            by_hash[picture.sha256, picture.file.label].append(picture)
    for same in by_hash.values():
        kept, *rest = sorted(same, key=lambda picture: _KEPT_FIRST.index(picture.file.split))
        for picture in rest:
            yield picture.file, f"the same bytes as {format_path(kept.file.path)}"


def set_aside(files: Sequence[tuple[ClassFile, str]]) -> Iterator[MovedFile]:
    """Move each file to `DATA-set-aside`, below the folders that it was in, and tell of it when it is done.

    A taken name gets a number. Raises SetAsideFailed; what was moved until then stays moved.
    """
    for file, reason in files:
        data = file.data.resolve()
        below = file.path.relative_to(file.data)
        wanted = data.with_name(data.name + _SUFFIX) / below
        try:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            destination = _move(file.path, wanted)
        except OSError as error:
            raise SetAsideFailed(
                f"{format_path(file.path)}: cannot be moved to {format_path(wanted)} ({error.strerror}); it stays"
            ) from error
        yield MovedFile(file.path, destination, reason)


def _move(source: Path, wanted: Path) -> Path:
    """Link to the first free name and unlink; where links are refused, rename over a name taken for it."""
    destination, number = wanted, 1
    while True:
        try:
            return _move_by_link(source, destination)
        except FileExistsError:
            number += 1
            destination = wanted.with_name(number_name(wanted.name, number))


def _move_by_link(source: Path, destination: Path) -> Path:
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _LINK_REFUSED:
            raise
        _rename_over_own(source, destination)
        return destination
    try:
        source.unlink()
    except OSError:
        destination.unlink()
        raise
    return destination


def _rename_over_own(source: Path, destination: Path) -> None:
    os.close(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        source.replace(destination)
    except OSError:
        destination.unlink()
        raise


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
