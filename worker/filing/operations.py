"""The few calls that move a file, each replaceable, so that any of them can be made to fail."""

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
"""From linux/fcntl.h and linux/fs.h; renameat2(2)."""


def _link(source: Path, destination: Path) -> None:
    os.link(source, destination, follow_symlinks=False)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename_without_replacing(source: Path, destination: Path) -> None:
    """Rename, or fail with EEXIST where the destination is taken; ENOSYS where the system cannot promise."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(destination))


def _make_folder(folder: Path) -> None:
    folder.mkdir()


def _unlink(path: Path) -> None:
    path.unlink()


@dataclass(frozen=True, slots=True)
class Operations:
    """The calls to the file system, as filing uses them; each raises OSError."""

    link: Callable[[Path, Path], None] = _link
    unlink: Callable[[Path], None] = _unlink
    rename_without_replacing: Callable[[Path, Path], None] = _rename_without_replacing
    sync_folder: Callable[[Path], None] = _sync_folder
    make_folder: Callable[[Path], None] = _make_folder
    fsync: Callable[[int], None] = os.fsync
    write: Callable[[int, memoryview], int] = os.write
