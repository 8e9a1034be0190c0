"""Look at the inbox: what lies in it, and whether somebody is still writing a file."""

import errno
import fcntl
import fnmatch
import mimetypes
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from worker.fileio import identify_file
from worker.inbox.candidates import Inspection, Writer

ScanEntry = tuple[Path, str | None]

_KINDS = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def inspect_file(path: Path) -> Inspection:
    """Look at a path without following, opening or waiting for anything but a regular file."""
    try:
        identity = identify_file(path.lstat())
    except OSError:
        return Inspection(None, Writer.UNKNOWN)
    if identity is None:
        return Inspection(None, Writer.UNKNOWN)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return Inspection(None, Writer.UNKNOWN)
    except BlockingIOError:  # a lease for writing is held on it (open(2), EWOULDBLOCK)
        return Inspection(identity, Writer.PRESENT)
    except OSError:
        return Inspection(identity, Writer.UNKNOWN)
    try:
        # The writer is asked for before the file is looked at: what is written later shows in its ctime.
        writer = find_writer(descriptor)
        return Inspection(identify_file(os.fstat(descriptor)), writer)
    finally:
        os.close(descriptor)


def find_writer(descriptor: int) -> Writer:
    """Ask the kernel whether a file is open for writing, by taking a read lease on it (fcntl(2)).

    A lease is allowed to the file's owner and to root, on local file systems. While it is held, for some
    microseconds, a writer who comes makes the kernel send SIGIO, which has to be ignored.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return Writer.UNKNOWN
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return Writer.PRESENT if error.errno in (errno.EAGAIN, errno.EBUSY) else Writer.UNKNOWN
    return Writer.NONE


def make_ignore_test(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of a file's or folder's name against glob patterns, as in `inbox.ignore`."""
    return lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def scan_folder(folder: Path, *, recursive: bool, is_ignored: Callable[[str], bool]) -> Iterator[ScanEntry]:
    """Walk a folder: yield each path with None for a regular file, or what else it is.

    Symbolic links are never followed. A folder is told only where its name is that of a picture. What
    vanishes or cannot be read on the way is passed over.
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
    """Name what a mode stands for; None is a regular file."""
    return next((name for test, name in _KINDS if test(mode)), None)


def is_picture_name(name: str) -> bool:
    """Tell whether a name ends as a picture's does."""
    guessed = mimetypes.guess_type(name)[0]
    return guessed is not None and guessed.startswith("image/")


def _read_kind(entry: "os.DirEntry[str]") -> str | None:
    if entry.is_file(follow_symlinks=False):
        return None
    return name_kind(entry.stat(follow_symlinks=False).st_mode)
