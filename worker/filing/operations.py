"""The system calls that move a file, each replaceable, so that tests can make any of them fail."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.fileio import rename_without_replacing, sync_path


def _link(source: Path, destination: Path) -> None:
    os.link(source, destination, follow_symlinks=False)


def _make_folder(folder: Path) -> None:
    folder.mkdir()


def _unlink(path: Path) -> None:
    path.unlink()


@dataclass(frozen=True, slots=True)
class FileOperations:
    """The calls to the file system that filing needs; each raises OSError."""

    link: Callable[[Path, Path], None] = _link
    unlink: Callable[[Path], None] = _unlink
    rename_without_replacing: Callable[[Path, Path], None] = rename_without_replacing
    sync_folder: Callable[[Path], None] = sync_path
    make_folder: Callable[[Path], None] = _make_folder
    fsync: Callable[[int], None] = os.fsync
    write: Callable[[int, memoryview], int] = os.write
