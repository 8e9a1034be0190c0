"""The primitives of the file system: identities, hashes, durable writes, renames, locks and descriptors."""

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
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
"""From linux/fcntl.h and linux/fs.h; renameat2(2)."""

_PID_BYTES = 32


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A regular file at one moment: any write, rename-over or link changes one of these.

    `changed_ns` is the ctime; mtime is left out because programs set it to the past.
    """

    device: int
    inode: int
    size_bytes: int
    changed_ns: int

    def is_same_file(self, other: "FileIdentity") -> bool:
        """Tell whether both are one inode, whatever has been written to it in between."""
        return (self.device, self.inode) == (other.device, other.inode)


def identify_file(status: os.stat_result) -> FileIdentity | None:
    """Return the identity of a regular file, or None for anything else."""
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)


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


def sync_path(path: Path) -> None:
    """Make a file's content, or a folder's names, durable.

    A file system that has no fsync for it (EINVAL, of folders above all) is taken as it is. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def replace_file(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    replace: Callable[[Path, Path], None] = os.replace,
) -> None:
    """Write a file durably, all of it or nothing: an older one stays until the new one is whole.

    `mode` are its permissions; those of the older file, and its owner, where it is None. Raises OSError, and
    leaves no draft behind then.
    """
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
        with suppress(PermissionError):
            os.chown(draft, status.st_uid, status.st_gid)


def rename_without_replacing(source: Path, destination: Path) -> None:
    """Rename, or fail with EEXIST where the destination is taken; ENOSYS where the system cannot promise."""
    _rename(source, destination, _RENAME_NOREPLACE)


def exchange_paths(first: Path, second: Path) -> None:
    """Swap two files or folders in one step; ENOSYS where the system cannot."""
    _rename(first, second, _RENAME_EXCHANGE)


def _rename(source: Path, destination: Path, flags: int) -> None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(destination))


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a file or folder, which ends with the process; False where another has it."""
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
    """Return the process that holds a lock file, 0 for one that is not known, or None where nobody does."""
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
    """Return the process whose number is written in a lock file, 0 where there is none."""
    text = os.pread(descriptor, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else 0


def silence_descriptor(descriptor: int) -> int:
    """Send what is written to a descriptor nowhere; return another one that leads where it led."""
    saved = os.dup(descriptor)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), descriptor)
    return saved


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Turn away what libraries write to descriptor 2 past Python."""
    sys.stderr.flush()
    saved = silence_descriptor(2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


class Wakeup:
    """A descriptor that becomes readable when something has come that a waiting loop should know of."""

    def __init__(self) -> None:
        # The self-pipe trick of D. J. Bernstein: a signal or another thread ends a wait without a race.
        self._read, self.write_descriptor = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._read

    def wake(self) -> None:
        """Make it readable; a full pipe is readable already."""
        with suppress(BlockingIOError):
            os.write(self.write_descriptor, b"\0")

    def clear(self) -> None:
        """Make it wait again."""
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._read)
        os.close(self.write_descriptor)
