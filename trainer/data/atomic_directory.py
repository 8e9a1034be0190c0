"""Put a finished bundle, or folder of pictures, in its place in one step, so that nobody sees half of it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.errors import BundleError, ConfigError
from worker.fileio import exchange_paths, sync_path, try_lock
from worker.inference.bundle import MANIFEST_NAME
from worker.paths import NAME_MAX

_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What an older kernel, a file system without the call, or a sandbox that forbids it answers."""

_DRAFT = ".draft"
_OLDER = ".old"
_DRAFT_NAME_BYTES = len(".-12345678") + len(_DRAFT)
"""Bytes that the name of a draft has beyond the bundle's; `mkdtemp` draws eight characters."""


def _rename(source: Path, destination: Path) -> None:
    source.rename(destination)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class DirectoryOperations:
    """The calls to the file system that publish a folder; each raises OSError. Tests let them fail."""

    sync: Callable[[Path], None] = sync_path
    exchange: Callable[[Path, Path], None] = exchange_paths
    rename: Callable[[Path, Path], None] = _rename
    remove: Callable[[Path], None] = _remove


def check_output(out: Path) -> None:
    """Raise ConfigError where a bundle cannot go: something else is there, or its folder cannot be made."""
    try:
        if len(os.fsencode(out.name)) + _DRAFT_NAME_BYTES > NAME_MAX:
            raise ConfigError(f"{out}: its name is too long; give --out another name")
        if not os.path.lexists(out):
            _check_parent(out)
        elif out.is_symlink() or not out.is_dir():
            raise ConfigError(f"{out}: is there and is not a folder; give --out another name")
        elif any(out.iterdir()) and not (out / MANIFEST_NAME).is_file():
            raise ConfigError(f"{out}: is a folder of something else, not a bundle; give --out another name")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{out}: cannot be looked at ({_describe_error(error)}); give --out another name"
        ) from error


def check_bundle_output(out: Path, *, force: bool) -> None:
    """Raise ConfigError where a bundle cannot go; one that is there is replaced with `force` alone."""
    check_output(out)
    if (out / MANIFEST_NAME).exists() and not force:
        raise ConfigError(f"{out}: is a bundle already; give --out another name, or --force to replace it")


def check_unused(out: Path) -> None:
    """Raise ConfigError unless `out` is an empty folder, or nothing yet that can be made."""
    try:
        is_empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{out}: cannot be looked at ({_describe_error(error)}); give --out another name"
        ) from error
    if os.path.lexists(out) and not is_empty:
        raise ConfigError(f"{out}: is there already; give --out another name, or remove it")
    check_output(out)


@contextmanager
def prepare_directory(out: Path, operations: DirectoryOperations | None = None) -> Iterator[Path]:
    """Lend an empty folder beside `out`; after the body has ended well, `out` is that folder.

    An older bundle stays in its place until then. What killed runs have left beside it is cleared away.
    Raises BundleError where the disk refuses.
    """
    operations = operations or DirectoryOperations()
    out = out.absolute()
    new_parents = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out, operations)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=_DRAFT, dir=out.parent))
    except OSError as error:
        _remove_empty(new_parents)
        raise BundleError(
            f"{out}: cannot be written ({_describe_error(error)}); check the folder above it"
        ) from error
    try:
        # The lock tells other runs that the draft is not a leftover; it ends with the process.
        with try_lock(draft):
            yield draft
            # mkdtemp() lets only its owner in, and a worker may run as another user.
            draft.chmod(0o755)
            # Before it gets its name, which after a power cut could otherwise lead to empty files.
            _sync_all(draft, operations)
            _publish(draft, out, operations)
        for older in _list_siblings(out, _OLDER):
            _discard(older, operations)
    except OSError as error:
        raise BundleError(f"{out}: cannot be written ({_describe_error(error)}); check the disk") from error
    finally:
        # Either what was not finished, or the older bundle after it has been exchanged.
        _discard(draft, operations)
        _remove_empty(new_parents)


def _check_parent(out: Path) -> None:
    """Raise ConfigError where the nearest folder above that exists does not let others be made in it."""
    parent = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise ConfigError(f"{out}: {parent} is not a folder; give --out another name")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{out}: cannot be made, {parent} is not writable for you; give --out another name")


def _publish(draft: Path, out: Path, operations: DirectoryOperations) -> None:
    """Bring the draft to its place, durably; an older bundle is then where the draft was, or beside it."""
    # Once more: in the hours of a training something else may have come to this place.
    check_output(out)
    if not out.exists():
        operations.rename(draft, out)
        undo: Callable[[], None] = partial(operations.rename, out, draft)
    else:
        undo = _replace(draft, out, operations)
    try:
        operations.sync(out.parent)
    except OSError:
        undo()
        raise


def _replace(draft: Path, out: Path, operations: DirectoryOperations) -> Callable[[], None]:
    """Replace the older bundle and return what takes that back."""
    try:
        operations.exchange(draft, out)
    except OSError as error:
        if error.errno not in _CANNOT_EXCHANGE:
            raise
    else:
        return partial(operations.exchange, draft, out)
    # Two renames, between which there is no bundle; the next run mends a death there.
    older = draft.with_suffix(_OLDER)
    operations.rename(out, older)
    try:
        operations.rename(draft, out)
    except OSError:
        operations.rename(older, out)
        raise

    def undo() -> None:
        operations.rename(out, draft)
        operations.rename(older, out)

    return undo


def _clear_leftovers(out: Path, operations: DirectoryOperations) -> None:
    for folder in _list_siblings(out, _OLDER):
        if os.path.lexists(out):
            _discard(folder, operations)
        else:
            operations.rename(folder, out)
    for folder in _list_siblings(out, _DRAFT):
        # Another run that is still alive holds its draft's lock.
        with try_lock(folder) as is_ours:
            if is_ours:
                _discard(folder, operations)


def _discard(folder: Path, operations: DirectoryOperations) -> None:
    # What cannot be removed now is cleared away by the next run.
    with suppress(OSError):
        operations.remove(folder)


def _list_siblings(out: Path, suffix: str) -> list[Path]:
    # Not glob: a bundle's name may have brackets.
    return sorted(
        path
        for path in out.parent.iterdir()
        if path.name.startswith(f".{out.name}-") and path.suffix == suffix and path.is_dir()
    )


def _sync_all(draft: Path, operations: DirectoryOperations) -> None:
    for folder, _, names in os.walk(draft, topdown=False):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():  # what a link leads to was there before
                operations.sync(path)
        operations.sync(Path(folder))


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _describe_error(error: Exception) -> str:
    """Say on one line what the system answered; h5py's errors carry no `strerror`."""
    sentence = getattr(error, "strerror", None) or str(error)
    return " ".join(str(sentence).split())
