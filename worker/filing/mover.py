"""Move photos to where they belong: never over another file, and never losing one on the way."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.fileio import Identity, identity_of
from worker.filing.operations import Operations
from worker.paths import numbered

_LINK_REFUSED = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What link(2) says on file systems without hard links, or on files that may not have more of them."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Move:
    """A photo on its way: the file as it was read (None: as it is found), and where it goes."""

    photo_id: int
    source: Path
    destination: Path
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Moved:
    """The file is at its destination, durably, and nowhere else."""

    move: Move


@dataclass(frozen=True, slots=True)
class Taken:
    """Another file has the destination's name; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class Changed:
    """What is at the source is not what was judged, or nothing is; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class Hindered:
    """The file system refused; the file is still at its source."""

    move: Move
    detail: str


Result = Moved | Taken | Changed | Hindered

_Placed = list[tuple[Move, Identity]]


def free_destination(wanted: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return the path, or the first of its numbered siblings `` (2)``, `` (3)`` … that is not taken."""
    path, number = wanted, 1
    while is_taken(path):
        number += 1
        path = wanted.with_name(numbered(wanted.name, number))
    return path


class Filing:
    """Moves files in batches, so that a folder is synced once for many of them."""

    def __init__(self, operations: Operations | None = None) -> None:
        self._do = operations or Operations()
        self._half_done: dict[int, tuple[Path, Identity]] = {}

    def move_all(self, moves: Sequence[Move]) -> list[Result]:
        """Move each photo: link, sync the folders, unlink, sync again.

        Whatever stops this between two calls leaves the file whole at its source, at its destination, or
        at both as one inode; the same move, made again, finishes it.
        """
        results: dict[int, Result] = {}
        placed: _Placed = []
        for move in moves:
            outcome = self._attempt(move)
            if isinstance(outcome, Identity):
                self._half_done[move.photo_id] = move.destination, outcome
                placed.append((move, outcome))
            else:
                results[move.photo_id] = outcome
        for step in (self._arrive, self._leave):
            placed = step(placed, results)
        for move, _ in placed:
            del self._half_done[move.photo_id]
            results[move.photo_id] = Moved(move)
        return [results[move.photo_id] for move in moves]

    def discard_copy(self, photo_id: int, destination: Path) -> None:
        """Remove the hidden copy that a crash may have left beside a destination."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._do.unlink(_hidden(photo_id, destination))

    def _attempt(self, move: Move) -> Result | Identity:
        try:
            return self._place(move)
        except FileNotFoundError:
            return Changed(move)
        except FileExistsError:
            return Taken(move)
        except OSError as error:
            return Hindered(move, _cause(error))

    def _place(self, move: Move) -> Result | Identity:
        """Give the file its destination's name as well; return what identifies it at its source."""
        destination, placed = self._half_done.get(move.photo_id, (None, None))
        if placed and destination == move.destination and _identity_at(destination):
            return placed
        identity = _identity_at(move.source)
        if identity is None or move.identity not in (None, identity):
            # A move that was cut short has changed the file's ctime, or taken its first name away.
            if move.identity is not None and _is_file_at(move.destination, move.identity):
                return move.identity
            return Changed(move)
        self._make_folders(move.destination.parent)
        try:
            self._do.link(move.source, move.destination)
        except FileExistsError:
            return identity if self._has_arrived(move, identity) else Taken(move)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._copy(move, identity)
            elif error.errno in _LINK_REFUSED:
                self._do.rename_without_replacing(move.source, move.destination)
            else:
                raise
        return identity

    def _has_arrived(self, move: Move, identity: Identity) -> bool:
        """Tell whether a move that was cut short has already put the photo there."""
        found = _identity_at(move.destination)
        if found is None or found.is_same_file(identity):
            return found is not None
        if found.device == identity.device and not self._crosses_mounts(move):
            return _is_file_at(move.destination, identity)
        return content_sha256(move.destination) == content_sha256(move.source)

    def _crosses_mounts(self, move: Move) -> bool:
        # Two bind mounts of one file system, as containers have them, share a device, and yet links fail.
        # link(2) says first that the name is taken; renameat2(2) says EXDEV first (fs/namei.c).
        try:
            self._do.rename_without_replacing(move.source, move.destination)
        except OSError as error:
            if error.errno not in _LINK_REFUSED | {errno.EXDEV, errno.EEXIST}:
                raise
            return error.errno == errno.EXDEV
        return False

    def _copy(self, move: Move, identity: Identity) -> None:
        """Copy to a hidden name beside the destination, then link that, so that no half file has a name."""
        hidden = _hidden(move.photo_id, move.destination)
        self.discard_copy(move.photo_id, move.destination)
        try:
            self._write_copy(move.source, hidden, identity.size_bytes)
            if _identity_at(move.source) != identity:
                raise FileNotFoundError(errno.ENOENT, "the file changed while it was copied")
            try:
                self._do.link(hidden, move.destination)
            except OSError as error:
                if error.errno not in _LINK_REFUSED:
                    raise
                self._do.rename_without_replacing(hidden, move.destination)
        finally:
            self.discard_copy(move.photo_id, move.destination)

    def _write_copy(self, source: Path, hidden: Path, size_bytes: int) -> None:
        """Copy what the source held when it was looked at, however fast it grows."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(hidden, flags, 0o600)
        try:
            with source.open("rb", buffering=0) as file:
                while chunk := file.read(min(_CHUNK_BYTES, size_bytes)):
                    size_bytes -= len(chunk)
                    view = memoryview(chunk)
                    while view:
                        view = view[self._do.write(descriptor, view) :]
            _copy_attributes(source, hidden)
            self._do.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _arrive(self, placed: _Placed, results: dict[int, Result]) -> _Placed:
        """Make the new names durable; return those that are."""
        failed = self._synced(move.destination.parent for move, _ in placed)
        return _unhindered(placed, results, lambda move: failed.get(move.destination.parent))

    def _leave(self, placed: _Placed, results: dict[int, Result]) -> _Placed:
        """Remove the old names, durably; return those that are gone."""
        kept = {move.photo_id: self._withdraw(move, identity) for move, identity in placed}
        placed = _unhindered(placed, results, lambda move: kept[move.photo_id])
        failed = self._synced(move.source.parent for move, _ in placed)
        return _unhindered(placed, results, lambda move: failed.get(move.source.parent))

    def _withdraw(self, move: Move, identity: Identity) -> str | None:
        """Remove the source's name, unless it stands for something else by now; return what hinders it."""
        found = _identity_at(move.source)
        if found is None or not found.is_same_file(identity):
            return None
        if found != identity and not _is_file_at(move.destination, identity):
            return None  # it was written to after it had been copied: that is another photo
        try:
            self._do.unlink(move.source)
        except OSError as error:
            return _cause(error)
        return None

    def _make_folders(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            with suppress(FileExistsError):
                self._do.make_folder(folder)
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(folder))
            self._do.sync_folder(folder.parent)

    def _synced(self, folders: Iterable[Path]) -> dict[Path, str]:
        """Sync each folder once; return those that failed, with the cause."""
        failed = {}
        for folder in dict.fromkeys(folders):
            try:
                self._do.sync_folder(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                failed[folder] = _cause(error)
        return failed


def content_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a regular file, or None where there is none. Raises OSError."""
    if _identity_at(path) is None:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity_at(path: Path) -> Identity | None:
    try:
        return identity_of(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_file_at(path: Path, identity: Identity) -> bool:
    found = _identity_at(path)
    return found is not None and found.is_same_file(identity)


def _unhindered(placed: _Placed, results: dict[int, Result], cause: Callable[[Move], str | None]) -> _Placed:
    """Note those that something hinders among the results, and return the others."""
    for move, _ in placed:
        if detail := cause(move):
            results[move.photo_id] = Hindered(move, detail)
    return [(move, identity) for move, identity in placed if move.photo_id not in results]


def _copy_attributes(source: Path, copy: Path) -> None:
    # What the other file system or a sandbox does not take (EPERM; EINVAL for an owner that a container
    # does not know) is left: the photo counts for more.
    found = source.lstat()
    with suppress(OSError):
        os.chown(copy, found.st_uid, found.st_gid, follow_symlinks=False)
    with suppress(OSError):
        shutil.copystat(source, copy, follow_symlinks=False)


def _cause(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"


def _hidden(photo_id: int, destination: Path) -> Path:
    return destination.with_name(f".moodsort-{photo_id}.part")
