"""Open the files that child processes are given: regular ones alone, without following a link or waiting."""

import errno
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from worker.errors import Reason
from worker.fileio import FileIdentity, identify_file
from worker.pool.protocol import Delayed, Gone, Refused
from worker.tree import Tree

OpenFile = Callable[[Path], int]
"""Opens a file for reading and returns its descriptor, or raises OSError."""

_TRANSIENT_ERRORS = frozenset(
    {
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ETOOMANYREFS),
        *(errno.ESTALE, errno.ETIMEDOUT, errno.EINTR, errno.EAGAIN),
    }
)
"""Errors that say nothing about the file; EAGAIN is a lease that another program holds for writing."""

GONE_ERRORS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""Nothing is there, or no regular file: ELOOP is a symbolic link, ENXIO a socket or a FIFO."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A regular file, open for reading."""

    descriptor: int
    identity: FileIdentity


# O_NOFOLLOW: a link could lead to any file of the user's. O_NONBLOCK: a FIFO would wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def open_photo(path: Path) -> int:
    """Open a file for reading. Raises OSError."""
    return os.open(path, _FLAGS)


def open_photo_below(root: Path, path: Path) -> int:
    """Open a file below the root for reading, over no symbolic link. Raises OSError."""
    with closing(Tree(root)) as tree:
        entry = tree.find_entry(path.relative_to(root))
        return os.open(entry.name, _FLAGS, dir_fd=entry.folder.descriptor)


def open_regular(key: int, path: Path, open_file: OpenFile) -> OpenedFile | Gone | Delayed | Refused:
    """Open a file that is to be worked on; return the result of a job whose file cannot be."""
    try:
        descriptor = open_file(path)
    except OSError as error:
        return translate_error(key, error.errno)
    identity = identify_file(os.fstat(descriptor))
    if identity is None:
        os.close(descriptor)
        return Gone(key)
    return OpenedFile(descriptor, identity)


def translate_error(key: int, number: int | None) -> Gone | Delayed | Refused:
    """Return the result of a job whose file gave this error."""
    if number in GONE_ERRORS:
        return Gone(key)
    cause = f"it cannot be read: {os.strerror(number or 0)}"
    if number in _TRANSIENT_ERRORS:
        return Delayed(key, cause)
    return Refused(key, None, Reason.UNREADABLE, cause)
