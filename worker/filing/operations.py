"""The system calls that move a file, each replaceable, so that tests can make any of them fail."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from worker.fileio import rename_without_replacing, sync_descriptor
from worker.filing.file_copy import copy_range
from worker.tree import Entry, Folder, open_folder

_DESCRIPTORS = "/proc/self/fd"


def _open_file(entry: Entry, flags: int) -> int:
    return os.open(entry.name, flags | os.O_CLOEXEC, 0o600, dir_fd=entry.folder.descriptor)


def _read_status(entry: Entry) -> os.stat_result:
    return os.stat(entry.name, dir_fd=entry.folder.descriptor, follow_symlinks=False)


def _link(source: Entry, descriptor: int, destination: Entry) -> None:
    if not _has_descriptor_links():
        _link_by_name(source, descriptor, destination)
        return
    # Not by the name, which may be another file's by now. Of the two ways in open(2) this one needs no
    # capability before Linux 6.10.
    os.link(f"{_DESCRIPTORS}/{descriptor}", destination.name, dst_dir_fd=destination.folder.descriptor)


@cache
def _has_descriptor_links() -> bool:
    return Path(_DESCRIPTORS).exists()


def _link_by_name(source: Entry, descriptor: int, destination: Entry) -> None:
    """Link by the name where there is no /proc, and take back a link to another file."""
    os.link(
        source.name,
        destination.name,
        src_dir_fd=source.folder.descriptor,
        dst_dir_fd=destination.folder.descriptor,
        follow_symlinks=False,
    )
    if not os.path.samestat(_read_status(destination), os.fstat(descriptor)):
        _unlink(destination)
        raise FileNotFoundError(errno.ENOENT, "the file was replaced before it was linked", source.name)


def _rename_without_replacing(source: Entry, destination: Entry) -> None:
    rename_without_replacing(
        source.name,
        destination.name,
        source_folder=source.folder.descriptor,
        destination_folder=destination.folder.descriptor,
    )


def _rename(source: Entry, destination: Entry) -> None:
    os.rename(
        source.name,
        destination.name,
        src_dir_fd=source.folder.descriptor,
        dst_dir_fd=destination.folder.descriptor,
    )


def _unlink(entry: Entry) -> None:
    os.unlink(entry.name, dir_fd=entry.folder.descriptor)


def _make_folder(entry: Entry) -> None:
    os.mkdir(entry.name, dir_fd=entry.folder.descriptor)


def _sync_folder(folder: Folder) -> None:
    sync_descriptor(folder.descriptor)


@dataclass(frozen=True, slots=True)
class FileOperations:
    """The calls to the file system that filing needs; each raises OSError.

    `open_folder` takes the root's descriptor and a relative path, `link` the entry of an open file, its
    descriptor and the new entry. `rename` replaces, and is for private names that are free.
    """

    open_folder: Callable[[int, Path], int] = open_folder
    open_file: Callable[[Entry, int], int] = _open_file
    read_status: Callable[[Entry], os.stat_result] = _read_status
    link: Callable[[Entry, int, Entry], None] = _link
    rename_without_replacing: Callable[[Entry, Entry], None] = _rename_without_replacing
    rename: Callable[[Entry, Entry], None] = _rename
    unlink: Callable[[Entry], None] = _unlink
    make_folder: Callable[[Entry], None] = _make_folder
    sync_folder: Callable[[Folder], None] = _sync_folder
    copy: Callable[[int, int, int, int], int] = copy_range
    fsync: Callable[[int], None] = os.fsync
