"""The folders below a root, opened component by component without following a symbolic link."""

import ctypes
import errno
import os
import stat
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.fileio import check_result, load_libc
from worker.paths import format_path

_OPENAT2 = 437
"""The number of openat2(2) on every architecture that has asm-generic's table from Linux 5.6 on."""

_RESOLVE_BELOW = 0x02 | 0x04 | 0x08
"""RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH, from linux/openat2.h."""

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_WALKED = frozenset(
    {
        *(errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG),  # no openat2, or a sandbox without it
        *(
            errno.EAGAIN,
            errno.ENAMETOOLONG,
        ),  # a race that the kernel could not rule out; a path over PATH_MAX
        *(errno.ELOOP, errno.ENOTDIR),  # the walk says which component it is
    }
)
"""The errors of openat2(2) after which the path is walked instead."""

_MAX_OPEN = 64

LINK_REMEDY = "make it a folder, and mount there what it leads to (mount --bind)"
"""What to do about a folder below the root that is a symbolic link."""

PATH_ONLY = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
"""Open a file for nothing but its identity, which needs no permission to read it; Linux has this."""


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder; `path` is relative to the root of its tree."""

    path: Path
    descriptor: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in an open folder, whether or not something has it."""

    folder: Folder
    name: str

    @property
    def path(self) -> Path:
        """The path relative to the root of the tree."""
        return self.folder.path / self.name


def open_folder(root: int, path: Path) -> int:
    """Open a folder below an open one, across mount points, but across no symbolic link.

    Returns its descriptor. Raises OSError: ELOOP where a component is a link.
    """
    try:
        return _open_below(root, path)
    except OSError as error:
        if error.errno not in _WALKED:
            raise
    return walk_folder(root, path)


class Tree:
    """The folders below a root for as long as a batch of work takes.

    Each folder is opened once, when it is first asked for. Nothing is kept from one batch to the next: to
    check that a descriptor still is what its path names takes more system calls than to open it again.
    """

    def __init__(self, root: Path, open_below: Callable[[int, Path], int] = open_folder) -> None:
        """Open the root, which may be a symbolic link. Raises OSError."""
        flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
        self._open_below = open_below
        # By text: Path takes several times as long to hash, and this is asked for at each call.
        self._folders: OrderedDict[str, Folder] = OrderedDict()
        self._root = os.open(root, flags)

    def close(self) -> None:
        """Close every descriptor."""
        for folder in self._folders.values():
            os.close(folder.descriptor)
        self._folders.clear()
        os.close(self._root)

    def open_folder(self, path: Path) -> Folder:
        """Return a folder, which stays open while no more than a few others are asked for. Raises OSError."""
        return self._open(str(path))

    def find_entry(self, path: Path) -> Entry:
        """Return the entry of a path in its folder; use it before others are asked for. Raises OSError."""
        folder, name = os.path.split(str(path))
        return Entry(self._open(folder or os.curdir), name)

    def _open(self, path: str) -> Folder:
        if folder := self._folders.get(path):
            self._folders.move_to_end(path)
            return folder
        folder = Folder(Path(path), self._open_below(self._root, Path(path)))
        self._folders[path] = folder
        if len(self._folders) > _MAX_OPEN:
            _, oldest = self._folders.popitem(last=False)
            os.close(oldest.descriptor)
        return folder


def _open_below(root: int, path: Path) -> int:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    how = struct.pack("QQQ", _FOLDER_FLAGS, 0, _RESOLVE_BELOW)  # struct open_how
    arguments = ctypes.c_long(_OPENAT2), root, os.fsencode(path), how, ctypes.c_size_t(len(how))
    return check_result(load_libc().syscall(*arguments), path)


def walk_folder(root: int, path: Path) -> int:
    """Do the same without openat2(2), one component after the other."""
    descriptor = os.open(".", _FOLDER_FLAGS, dir_fd=root)
    for index, name in enumerate(path.parts, start=1):
        try:
            below = _open_component(descriptor, name, Path(*path.parts[:index]))
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _open_component(folder: int, name: str, path: Path) -> int:
    if name in ("..", os.sep):
        raise OSError(errno.EXDEV, "leads out of its folder", os.fspath(path))
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(folder, name):
            raise OSError(errno.ELOOP, _describe_link(path), os.fspath(path)) from error
        raise


def find_link(root: Path, path: Path) -> Path | None:
    """Return the first symbolic link on the way from a root to a path below it, or None."""
    ways = [*reversed(path.relative_to(root).parents), path.relative_to(root)]
    return next((root / way for way in ways[1:] if (root / way).is_symlink()), None)


def _describe_link(path: Path) -> str:
    return f"{format_path(path)} is a symbolic link, which is not followed; {LINK_REMEDY}"


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
