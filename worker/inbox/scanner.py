"""Inspect the inbox: which files it holds, and whether a program is still writing one of them."""

import errno
import fcntl
import fnmatch
import mimetypes
import os
import re
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from worker.fileio import identify_file, is_exhausted
from worker.inbox.candidates import Inspection, Writer
from worker.inbox.container import is_complete
from worker.paths import PRIVATE_PREFIX
from worker.tree import Tree

ScanEntry = tuple[str, str | None]
"""A path below the folder that is scanned, and what it is, None for a regular file.

As text: there may be a hundred thousand, and a Path takes ten times the memory.
"""

_KINDS = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def inspect_file(tree: Tree, path: Path) -> Inspection:
    """Inspect a path below the inbox; follow, open and wait for nothing but a regular file.

    Raises OSError where the process has no descriptor left.
    """
    try:
        identity = identify_file(read_status(tree, path))
    except OSError as error:
        if is_exhausted(error):
            raise
        return Inspection(None, Writer.UNKNOWN)
    if identity is None:
        return Inspection(None, Writer.UNKNOWN)
    try:
        descriptor = open_file(tree, path)
    except (FileNotFoundError, NotADirectoryError):
        return Inspection(None, Writer.UNKNOWN)
    except BlockingIOError:  # a lease for writing is held on it (open(2), EWOULDBLOCK)
        return Inspection(identity, Writer.PRESENT)
    except OSError:
        return Inspection(identity, Writer.UNKNOWN)
    try:
        # Before fstat(): whatever a later writer changes then shows in the ctime.
        writer = find_writer(descriptor)
        return Inspection(identify_file(os.fstat(descriptor)), writer)
    finally:
        os.close(descriptor)


def is_whole_file(tree: Tree, path: Path) -> bool:
    """Tell whether the file at a path ends where its container says; False where it cannot be read."""
    try:
        descriptor = open_file(tree, path)
    except OSError:
        return False
    try:
        size_bytes = os.fstat(descriptor).st_size
        return is_complete(size_bytes, lambda offset, length: os.pread(descriptor, length, offset))
    except OSError:
        return False
    finally:
        os.close(descriptor)


def read_status(tree: Tree, path: Path) -> os.stat_result:
    """Return the status of whatever is at a path, a symbolic link itself too. Raises OSError."""
    entry = tree.find_entry(path)
    return os.stat(entry.name, dir_fd=entry.folder.descriptor, follow_symlinks=False)


def open_file(tree: Tree, path: Path) -> int:
    """Open a regular file for reading, without following a link or waiting. Raises OSError."""
    entry = tree.find_entry(path)
    # Since its status was read the path may have become a link, a FIFO without a writer, or a terminal.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    return os.open(entry.name, flags, dir_fd=entry.folder.descriptor)


def find_writer(descriptor: int) -> Writer:
    """Ask the kernel whether a file is open for writing, by taking a read lease on it (fcntl(2)).

    Only the owner of the file and root may take a lease, and only on local file systems. A program that opens
    the file for writing in these microseconds makes the kernel send SIGIO to us, which has to be ignored.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return Writer.UNKNOWN
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        # At once: the kernel makes a program wait that opens the file for writing while the lease is held.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return Writer.PRESENT if error.errno in (errno.EAGAIN, errno.EBUSY) else Writer.UNKNOWN
    return Writer.NONE


def make_ignore_test(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a name matches one of the glob patterns of `inbox.ignore`.

    Private names of the worker's own are ignored whatever the patterns say.
    """
    return _make_name_test([f"{PRIVATE_PREFIX}*", *patterns], re.NOFLAG)


def make_companion_test(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a name matches one of `inbox.companions`, in whatever case."""
    return _make_name_test(patterns, re.IGNORECASE)


def _make_name_test(patterns: Sequence[str], flags: re.RegexFlag) -> Callable[[str], bool]:
    # One expression: a scan asks for each name in the inbox.
    expression = re.compile("|".join(map(fnmatch.translate, patterns)) or "(?!)", flags)
    return lambda name: expression.match(name) is not None


def scan_folder(
    folder: Path, *, recursive: bool, is_ignored: Callable[[str], bool]
) -> Iterator[tuple[Path, str | None]]:
    """Do as `walk_folder`, with whole paths, and explain every error."""
    try:
        for path, kind in walk_folder(folder, recursive=recursive, is_ignored=is_ignored):
            yield folder / path, kind
    except OSError as error:
        yield folder, name_unreadable("folder", error)


def walk_folder(
    folder: Path, *, recursive: bool, is_ignored: Callable[[str], bool], below: str = ""
) -> Generator[ScanEntry, None, None]:
    """Walk a folder, or only what is below one of its own, and yield its entries as they are read.

    The folder may be a symbolic link; below it none is followed. Folders are yielded only where their name is
    that of a picture, or where they cannot be read. Whatever vanishes on the way is skipped. Raises OSError
    where the process has no descriptor left.
    """
    try:
        tree = Tree(folder)
    except OSError as error:
        yield from _explain_error("", error)
        return
    with closing(tree):
        folders = [below]  # not by recursion: folders may be nested deeper than Python's stack
        while folders:
            path = folders.pop()
            try:
                entries = os.scandir(tree.open_folder(Path(path)).descriptor)
            except OSError as error:
                yield from _explain_error(path, error)
                continue
            with entries:
                for name, kind in _list_entries(entries, is_ignored):
                    if kind != "folder" or is_picture_name(name):
                        yield f"{path}/{name}" if path else name, kind
                    if kind == "folder" and recursive:
                        folders.append(f"{path}/{name}" if path else name)


def _list_entries(
    entries: Iterable["os.DirEntry[str]"], is_ignored: Callable[[str], bool]
) -> Iterator[ScanEntry]:
    for entry in entries:
        if not is_ignored(entry.name):
            with suppress(FileNotFoundError):
                yield entry.name, _read_kind(entry)


def _explain_error(path: str, error: OSError) -> Iterator[ScanEntry]:
    if is_exhausted(error):
        raise error
    # A folder that was swapped for a symbolic link is reported as that by the scan of the folder above.
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        yield path, name_unreadable("folder", error)


def name_unreadable(kind: str, error: OSError) -> str:
    """Name the kind of what the system does not let be read."""
    return f"{kind} that cannot be read ({error.strerror})"


def name_kind(mode: int) -> str | None:
    """Return the name of the kind of file that a mode stands for, None for a regular file."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)


def is_picture_name(name: str) -> bool:
    """Tell whether a name has the extension of a picture."""
    mime_type = mimetypes.guess_type(name)[0]
    return mime_type is not None and mime_type.startswith("image/")


def _read_kind(entry: "os.DirEntry[str]") -> str | None:
    # Folder entries mostly know this without a stat(2) of every file.
    if entry.is_file(follow_symlinks=False):
        return None
    return name_kind(entry.stat(follow_symlinks=False).st_mode)
