"""Put a finished bundle, or folder of pictures, in its place in one step, so that nobody sees half of it."""

import ctypes
import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.errors import BundleError, ConfigError
from worker.inference.bundle import MANIFEST_NAME
from worker.paths import NAME_MAX

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""From linux/fcntl.h and linux/fs.h; renameat2(2)."""

_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What an older kernel, a file system without the call, or a sandbox that forbids it answers."""

_DRAFT = ".draft"
_OLDER = ".old"
_MARKS = len(".-12345678") + len(_DRAFT)
"""Bytes that the name of a draft has beyond the bundle's."""


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders in one step; ENOSYS where the system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(second))


def _rename(source: Path, destination: Path) -> None:
    source.rename(destination)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no fsync, of folders above all
            raise
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class DirectoryOperations:
    """The calls to the file system, as publication uses them; each raises OSError."""

    sync: Callable[[Path], None] = _sync
    exchange: Callable[[Path, Path], None] = _exchange
    rename: Callable[[Path, Path], None] = _rename
    remove: Callable[[Path], None] = _remove


def check_output(out: Path) -> None:
    """Raise ConfigError where a bundle cannot go: what is there is none, or its folder cannot be had."""
    try:
        if len(os.fsencode(out.name)) + _MARKS > NAME_MAX:
            raise ConfigError(f"{out}: its name is too long; give --out another name")
        if not os.path.lexists(out):
            _check_above(out)
        elif out.is_symlink() or not out.is_dir():
            raise ConfigError(f"{out}: is there and is not a folder; give --out another name")
        elif any(out.iterdir()) and not (out / MANIFEST_NAME).is_file():
            raise ConfigError(f"{out}: is a folder of something else, not a bundle; give --out another name")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{out}: cannot be looked at ({_explain(error)}); give --out another name"
        ) from error


def check_unused(out: Path) -> None:
    """Raise ConfigError where `out` is anything but an empty folder or nothing, or cannot be had."""
    try:
        is_empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{out}: cannot be looked at ({_explain(error)}); give --out another name"
        ) from error
    if os.path.lexists(out) and not is_empty:
        raise ConfigError(f"{out}: is there already; give --out another name, or remove it")
    check_output(out)


@contextmanager
def prepare_directory(out: Path, operations: DirectoryOperations | None = None) -> Iterator[Path]:
    """Lend an empty folder beside `out`; after the body has ended well, `out` is that folder.

    An older bundle stays in its place until then. What runs that were killed have left beside it is
    cleared away. Raises BundleError where the disk refuses.
    """
    do = operations or DirectoryOperations()
    out = out.absolute()
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out, do)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=_DRAFT, dir=out.parent))
    except OSError as error:
        _remove_empty(made)
        raise BundleError(
            f"{out}: cannot be written ({_explain(error)}); check the folder above it"
        ) from error
    try:
        with _hold_lock(draft):
            yield draft
            draft.chmod(0o755)
            _sync_all(draft, do)
            _publish(draft, out, do)
        for older in _list_siblings(out, _OLDER):
            _discard(older, do)
    except OSError as error:
        raise BundleError(f"{out}: cannot be written ({_explain(error)}); check the disk") from error
    finally:
        # Either what was not finished, or the older bundle after it has been exchanged.
        _discard(draft, do)
        _remove_empty(made)


def _check_above(out: Path) -> None:
    above = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise ConfigError(f"{out}: {above} is not a folder; give --out another name")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"{out}: cannot be made, {above} is not writable for you; give --out another name")


def _publish(draft: Path, out: Path, do: DirectoryOperations) -> None:
    """Bring the draft to its place, durably; an older bundle is then where the draft was, or beside it."""
    check_output(out)
    if not out.exists():
        do.rename(draft, out)
        undo: Callable[[], None] = partial(do.rename, out, draft)
    else:
        undo = _replace(draft, out, do)
    try:
        do.sync(out.parent)
    except OSError:
        undo()
        raise


def _replace(draft: Path, out: Path, do: DirectoryOperations) -> Callable[[], None]:
    """Replace the older bundle and return what takes that back."""
    try:
        do.exchange(draft, out)
    except OSError as error:
        if error.errno not in _CANNOT_EXCHANGE:
            raise
    else:
        return partial(do.exchange, draft, out)
    # Two renames, between which there is no bundle; the next run mends a death there.
    older = draft.with_suffix(_OLDER)
    do.rename(out, older)
    try:
        do.rename(draft, out)
    except OSError:
        do.rename(older, out)
        raise

    def undo() -> None:
        do.rename(out, draft)
        do.rename(older, out)

    return undo


def _clear_leftovers(out: Path, do: DirectoryOperations) -> None:
    for folder in _list_siblings(out, _OLDER):
        if os.path.lexists(out):
            _discard(folder, do)
        else:
            do.rename(folder, out)
    for folder in _list_siblings(out, _DRAFT):
        # Another run that is still alive holds its draft.
        with _hold_lock(folder) as is_ours:
            if is_ours:
                _discard(folder, do)


def _discard(folder: Path, do: DirectoryOperations) -> None:
    # What cannot be removed now is cleared away by the next run.
    with suppress(OSError):
        do.remove(folder)


def _list_siblings(out: Path, suffix: str) -> list[Path]:
    # Not glob: a bundle's name may have brackets.
    return sorted(
        path
        for path in out.parent.iterdir()
        if path.name.startswith(f".{out.name}-") and path.suffix == suffix and path.is_dir()
    )


@contextmanager
def _hold_lock(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock, which ends with the process; False where another has it or it has none."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            is_held = False
        else:
            is_held = True
        yield is_held
    finally:
        os.close(descriptor)


def _sync_all(draft: Path, do: DirectoryOperations) -> None:
    for folder, _, names in os.walk(draft, topdown=False):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():  # what a link leads to was there before
                do.sync(path)
        do.sync(Path(folder))


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _explain(error: Exception) -> str:
    """Say on one line what the system answered; h5py's errors carry no `strerror`."""
    found = getattr(error, "strerror", None) or str(error)
    return " ".join(str(found).split())
