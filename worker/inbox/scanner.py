"""Inspect the inbox: which files it holds, and whether a program is still writing one of them."""

import errno
import fcntl
import fnmatch
import mimetypes
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from worker.fileio import identify_file
from worker.inbox.candidates import Inspection, Writer
from worker.inbox.container import is_complete

ScanEntry = tuple[Path, str | None]
"""A path and what it is, None for a regular file."""

_KINDS = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def inspect_file(path: Path) -> Inspection:
    """Inspect a path without following, opening or waiting for anything but a regular file."""
    try:
        identity = identify_file(path.lstat())
    except OSError:
        return Inspection(None, Writer.UNKNOWN)
    if identity is None:
        return Inspection(None, Writer.UNKNOWN)
    try:
        descriptor = _open_file(path)
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


def is_whole_file(path: Path) -> bool:
    """Tell whether the file at a path ends where its container says; False where it cannot be read."""
    try:
        descriptor = _open_file(path)
    except OSError:
        return False
    try:
        size_bytes = os.fstat(descriptor).st_size
        return is_complete(size_bytes, lambda offset, length: os.pread(descriptor, length, offset))
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _open_file(path: Path) -> int:
    # Since lstat() the path may have become a link, a FIFO without a writer, or a terminal.
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


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
    """Return a function that tells whether a name matches one of the glob patterns of `inbox.ignore`."""
    return _make_name_test(patterns, re.NOFLAG)


def make_companion_test(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a name matches one of `inbox.companions`, in whatever case."""
    return _make_name_test(patterns, re.IGNORECASE)


def _make_name_test(patterns: Sequence[str], flags: re.RegexFlag) -> Callable[[str], bool]:
    # One expression: a scan asks for each name in the inbox.
    expression = re.compile("|".join(map(fnmatch.translate, patterns)) or "(?!)", flags)
    return lambda name: expression.match(name) is not None


def scan_folder(folder: Path, *, recursive: bool, is_ignored: Callable[[str], bool]) -> Iterator[ScanEntry]:
    """Walk a folder and yield its entries.

    Symbolic links are never followed. Folders are yielded only where their name is that of a picture.
    Whatever vanishes or cannot be read on the way is skipped.
    """
    folders = [folder]  # not by recursion: folders may be nested deeper than Python's stack
    while folders:
        for entry in _list_entries(folders.pop()):
            if is_ignored(entry.name):
                continue
            path = Path(entry.path)
            try:
                kind = _read_kind(entry)
            except OSError:
                continue
            if kind != "folder" or is_picture_name(entry.name):
                yield path, kind
            if kind == "folder" and recursive:
                folders.append(path)


def _list_entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


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
