"""The primitives of the file system: identities, hashes, durable writes, renames, locks, descriptors."""

import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
"""From linux/fcntl.h and linux/fs.h; renameat2(2)."""

_PID_BYTES = 32
"""More than a process id has digits."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A regular file at one moment: whatever writes to it, links it or replaces it changes one of these.

    `changed_ns` is the ctime in nanoseconds, `modified_ns` the mtime, which programs may set. A link or a
    rename changes the ctime alone.
    """

    device: int
    inode: int
    size_bytes: int
    changed_ns: int
    modified_ns: int

    def is_same_file(self, identity: "FileIdentity") -> bool:
        """Tell whether both are one inode, whatever has been written to it in between."""
        return (self.device, self.inode) == (identity.device, identity.inode)

    def remember(self) -> "KnownFile":
        """Return what is left of the identity whatever links and renames the file meets."""
        return KnownFile(self.device, self.inode, self.size_bytes, self.modified_ns)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A regular file as the log knows it: while all of these hold, it is the file and its content.

    An inode's number may be given to another file once this one is deleted; size and mtime tell them apart.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int

    def is_at(self, identity: FileIdentity) -> bool:
        """Tell whether it is this file, and unchanged.

        The device is left out: its number may change when the machine starts again.
        """
        known = (self.inode, self.size_bytes, self.modified_ns)
        return known == (identity.inode, identity.size_bytes, identity.modified_ns)


def identify_file(status: os.stat_result) -> FileIdentity | None:
    """Return the identity of a regular file, or None for anything else."""
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns, status.st_mtime_ns)


def identify_path(path: Path) -> FileIdentity | None:
    """Return the identity of the regular file at a path, or None where there is none. Raises OSError."""
    try:
        return identify_file(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_descriptor(descriptor: int) -> str:
    """Return the SHA-256 of a file that was just opened, as 64 hex digits. Raises OSError."""
    with open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_exhausted(error: OSError) -> bool:
    """Tell whether an error says nothing about a path, but that descriptors or memory have run out."""
    return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextmanager
def suppress_errors(*numbers: int) -> Iterator[None]:
    """Suppress an OSError that has one of these numbers."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise


def sync_path(path: Path) -> None:
    """Make a file's content, or a folder's names, durable.

    A file system that has no fsync for it (EINVAL, of folders above all) is taken as it is. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Do the same as `sync_path` for what is open already."""
    with suppress_errors(errno.EINVAL):
        os.fsync(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, durably, where they are missing. Raises OSError."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_path(path.parent)


def replace_file(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    replace: Callable[[Path, Path], None] = os.replace,
) -> None:
    """Write a file durably, whole or not at all: an older one stays until the new one is on the disk.

    `mode` gives the permissions; where it is None, the older file's permissions and owner are kept. `path`
    itself is replaced: a caller that wants to keep a symbolic link passes the link's target. Raises OSError,
    and leaves no draft behind then.
    """
    # Beside the file, because a rename replaces only within one file system.
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            _set_attributes(path, draft, mode)
            os.fsync(file.fileno())
        replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_path(path.parent)


def _set_attributes(path: Path, draft: Path, mode: int | None) -> None:
    if mode is not None:
        draft.chmod(mode)
    elif path.exists():
        status = path.stat()
        draft.chmod(stat.S_IMODE(status.st_mode))
        with suppress(PermissionError):  # only root gives files away; the content counts for more
            os.chown(draft, status.st_uid, status.st_gid)


def rename_without_replacing(
    source: Path | str,
    destination: Path | str,
    *,
    source_folder: int = _AT_FDCWD,
    destination_folder: int = _AT_FDCWD,
) -> None:
    """Rename a file or folder, never over another one; relative paths are relative to the open folders.

    Raises OSError: EEXIST where the destination exists, ENOSYS where the system cannot promise that, EINVAL
    where the file system cannot.
    """
    _rename(source, destination, _RENAME_NOREPLACE, source_folder, destination_folder)


def exchange_paths(first: Path, second: Path) -> None:
    """Swap two files or folders in one step. Raises OSError: ENOSYS or EINVAL where that is not possible."""
    _rename(first, second, _RENAME_EXCHANGE)


def _rename(
    source: Path | str,
    destination: Path | str,
    flags: int,
    source_folder: int = _AT_FDCWD,
    destination_folder: int = _AT_FDCWD,
) -> None:
    # By way of the C library, since Python has no renameat2; glibc has it since 2.28.
    renameat2 = getattr(load_libc(), "renameat2", None) if sys.platform == "linux" else None
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    old, new = os.fsencode(source), os.fsencode(destination)
    check_result(renameat2(source_folder, old, destination_folder, new, flags), destination)


@cache
def load_libc() -> ctypes.CDLL:
    """Return the C library of this process, for the calls that Python lacks."""
    return ctypes.CDLL(None, use_errno=True)


def check_result(result: int, path: Path | str | None = None) -> int:
    """Return what a function of the C library has returned. Raises OSError where that reports an error."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else os.fspath(path))
    return result


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Yield whether the lock of a file or folder could be taken; it is held until the context ends.

    It ends with the process as well, however that ends. Raises OSError where the path cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def find_lock_holder(path: Path) -> int | None:
    """Return the id of the process that holds a lock file: 0 where it is unknown, None where nobody does.

    A file that cannot be opened counts as not held.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return read_lock_holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def read_lock_holder(descriptor: int) -> int:
    """Return the process id that is written in a lock file, 0 where there is none."""
    text = os.pread(descriptor, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else 0


def silence_descriptor(descriptor: int) -> int:
    """Discard what is written to a descriptor; return a duplicate that still writes where it wrote."""
    saved = os.dup(descriptor)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), descriptor)
    return saved


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what is written to descriptor 2, also by libraries that bypass sys.stderr."""
    # Flushed on the way in and out: what Python had buffered before is shown, what it buffers here is not.
    sys.stderr.flush()
    saved = silence_descriptor(2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


class Wakeup:
    """A descriptor that becomes readable when a waiting loop should look around."""

    def __init__(self) -> None:
        # The self-pipe trick of D. J. Bernstein: a signal or a thread ends a wait, even one that is about to
        # begin. Non-blocking, so that neither a full pipe nor an empty one stops anybody.
        self._read, self.write_descriptor = os.pipe()  # macOS has no pipe2
        os.set_blocking(self._read, False)
        os.set_blocking(self.write_descriptor, False)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._read

    def wake(self) -> None:
        """Make it readable; a full pipe is readable already."""
        with suppress(BlockingIOError):
            os.write(self.write_descriptor, b"\0")

    def clear(self) -> None:
        """Make it unreadable again, however often it was woken."""
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._read)
        os.close(self.write_descriptor)
