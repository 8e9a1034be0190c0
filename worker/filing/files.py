"""The files below a root by their relative paths: each call goes through open folders and follows no link."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from worker.filing.operations import FileOperations
from worker.paths import number_name
from worker.tree import PATH_ONLY, Entry, Tree

_NO_SUCH_RENAME = frozenset({errno.EINVAL, errno.ENOSYS})
"""How renameat2(2) says that it cannot rename without replacing here."""

_CANNOT_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""The errors of link(2) on file systems without hard links, or on files that may not have more of them."""

Inode = tuple[int, int]
"""The device and the number of an inode."""

_COARSEST_TIME_NS = 2_000_000_000
"""The step of modification times on FAT."""

_COARSE_TIME_NS = 10_000_000
"""The step of modification times on exFAT: a file system that keeps finer ones is exact."""


class Files:
    """Files by paths relative to the root of a tree. Every method may raise OSError."""

    def __init__(self, tree: Tree, operations: FileOperations, durable_folders: dict[Path, Inode]) -> None:
        """`durable_folders` keeps the folders whose names are known to be durable, between trees."""
        self._tree = tree
        self._operations = operations
        self._durable_folders = durable_folders

    def read_status(self, path: Path) -> os.stat_result | None:
        """Return the status of whatever has a path, None where nothing does."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return self._operations.read_status(self._find(path))
        return None

    @contextmanager
    def open_file(self, path: Path, flags: int = PATH_ONLY) -> Iterator[int]:
        """Open a file, and close it at the end of the context."""
        descriptor = self.open_descriptor(path, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def open_descriptor(self, path: Path, flags: int) -> int:
        """Open a file that the caller closes."""
        return self._operations.open_file(self._find(path), flags | os.O_NOFOLLOW)

    def link(self, source: Path, descriptor: int, destination: Path) -> None:
        """Give an open file a second name; `source` is its first."""
        self._operations.link(self._find(source), descriptor, self._find(destination))

    def hide(self, path: Path, private: Path, *, may_replace: bool) -> None:
        """Rename a file to a private name. Raises FileExistsError where that is taken.

        `may_replace` allows a rename that could replace a file, where there is no other.
        """
        try:
            self._operations.rename_without_replacing(self._find(path), self._find(private))
        except OSError as error:
            if error.errno not in _NO_SUCH_RENAME or not may_replace:
                raise
            if self.read_status(private) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(private)) from error
            # Nobody but the owner of the photo gives out its private names.
            self._operations.rename(self._find(path), self._find(private))

    def reveal(self, private: Path, path: Path, status: os.stat_result) -> None:
        """Rename the file with this status from a private name, never over another file."""
        try:
            self._rename_or_link(private, path)
        except (FileExistsError, FileNotFoundError):
            # A network file system may send a request again whose answer was lost, and a kill may have come
            # between link and unlink.
            if not is_same_file(self.read_status(path), status):
                raise
            self.remove(private)

    def reveal_beside(self, private: Path, path: Path, status: os.stat_result) -> None:
        """Do the same under the first numbered sibling of the path that is free, where the path is not."""
        for candidate in _number_siblings(path):
            try:
                self.reveal(private, candidate, status)
            except FileExistsError:
                continue
            return

    def remove(self, path: Path) -> None:
        """Remove a name if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._operations.unlink(self._find(path))

    def make_folders(self, path: Path) -> None:
        """Make a folder and those above it where they are missing; see that all of them are durable.

        Also one that is there: whoever made it may have been stopped, or refused, before it was synced.
        Without that the folder may be gone after a power cut, and the photo with it.
        """
        if path == path.parent:
            self._tree.open_folder(path)
            return
        if self._is_durable(path):
            return
        self.make_folders(path.parent)
        with suppress(FileExistsError):
            self._operations.make_folder(self._find(path))
        # mkdir(2)'s own EEXIST, of a file in the way, would be taken for a photo at the destination.
        inode = self._read_inode(path)
        self.sync_folder(path.parent)
        self._durable_folders[path] = inode

    def _is_durable(self, path: Path) -> bool:
        if path not in self._durable_folders:
            return False
        with suppress(FileNotFoundError):
            return self._read_inode(path) == self._durable_folders[path]
        return False

    def _read_inode(self, folder: Path) -> Inode:
        status = os.fstat(self._tree.open_folder(folder).descriptor)
        return status.st_dev, status.st_ino

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        self._operations.sync_folder(self._tree.open_folder(path))

    def _rename_or_link(self, private: Path, path: Path) -> None:
        try:
            self._operations.rename_without_replacing(self._find(private), self._find(path))
        except OSError as error:
            if error.errno not in _NO_SUCH_RENAME:
                raise
            with self.open_file(private) as descriptor:
                self.link(private, descriptor, path)
            self.remove(private)

    def _find(self, path: Path) -> Entry:
        return self._tree.find_entry(path)


def _number_siblings(path: Path) -> Iterator[Path]:
    yield path
    for number in count(2):
        yield path.with_name(number_name(path.name, number))


def is_same_file(first: os.stat_result | None, second: os.stat_result | None) -> bool:
    """Tell whether both are there, and are one inode."""
    return first is not None and second is not None and os.path.samestat(first, second)


def is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Tell whether an inode has the size and the modification time that it had; renames change its ctime."""
    same_state = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return same_state and os.path.samestat(before, after)


def is_like_copy(source: os.stat_result, copy: os.stat_result) -> bool:
    """Tell whether a file has the size and the modification time of its copy, as exact as that can be."""
    is_exact = copy.st_mtime_ns % _COARSE_TIME_NS != 0
    step_ns = 1 if is_exact else _COARSEST_TIME_NS
    age_ns = source.st_mtime_ns - copy.st_mtime_ns
    return stat.S_ISREG(source.st_mode) and source.st_size == copy.st_size and 0 <= age_ns < step_ns


def cannot_link(error: OSError) -> bool:
    """Tell whether an error of link(2) means that there are no hard links here."""
    return error.errno in _CANNOT_LINK
