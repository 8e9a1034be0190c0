"""Move photos to where they belong: never over another file, and never losing one on the way."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.fileio import FileIdentity, hash_file, identify_path
from worker.filing.operations import FileOperations

_LINK_REFUSED = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What link(2) says on file systems without hard links, or on files that may not have more of them."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Move:
    """A photo on its way: the file as it was read (None: as it is found), and where it goes."""

    photo_id: int
    source: Path
    destination: Path
    identity: FileIdentity | None


@dataclass(frozen=True, slots=True)
class Moved:
    """The file is at its destination, durably, and nowhere else."""

    move: Move


@dataclass(frozen=True, slots=True)
class DestinationTaken:
    """Another file has the destination's name; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """What is at the source is not what was judged, or nothing is; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class MoveHindered:
    """The file system refused; the file is still at its source."""

    move: Move
    detail: str


MoveResult = Moved | DestinationTaken | SourceChanged | MoveHindered

_Placed = list[tuple[Move, FileIdentity]]


class Mover:
    """Moves files in batches, so that a folder is synced once for many of them."""

    def __init__(self, operations: FileOperations | None = None) -> None:
        self._do = operations or FileOperations()
        self._half_done: dict[int, tuple[Path, FileIdentity]] = {}

    def move_all(self, moves: Sequence[Move]) -> list[MoveResult]:
        """Move each photo: link, sync the folders, unlink, sync again.

        Whatever stops this between two calls leaves the file whole at its source, at its destination, or
        at both as one inode; the same move, made again, finishes it.
        """
        results: dict[int, MoveResult] = {}
        placed: _Placed = []
        for move in moves:
            outcome = self._attempt(move)
            if isinstance(outcome, FileIdentity):
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
            self._do.unlink(_name_copy(photo_id, destination))

    def _attempt(self, move: Move) -> MoveResult | FileIdentity:
        try:
            return self._place(move)
        except FileNotFoundError:
            return SourceChanged(move)
        except FileExistsError:
            return DestinationTaken(move)
        except OSError as error:
            return MoveHindered(move, _explain(error))

    def _place(self, move: Move) -> MoveResult | FileIdentity:
        """Give the file its destination's name as well; return what identifies it at its source."""
        destination, placed = self._half_done.get(move.photo_id, (None, None))
        if placed and destination == move.destination and identify_path(destination):
            return placed
        identity = identify_path(move.source)
        if identity is None or move.identity not in (None, identity):
            # A move that was cut short has changed the file's ctime, or taken its first name away.
            if move.identity is not None and _is_file_at(move.destination, move.identity):
                return move.identity
            return SourceChanged(move)
        self._make_folders(move.destination.parent)
        try:
            self._do.link(move.source, move.destination)
        except FileExistsError:
            return identity if self._has_arrived(move, identity) else DestinationTaken(move)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._copy(move, identity)
            elif error.errno in _LINK_REFUSED:
                self._do.rename_without_replacing(move.source, move.destination)
            else:
                raise
        return identity

    def _has_arrived(self, move: Move, identity: FileIdentity) -> bool:
        """Tell whether a move that was cut short has already put the photo there."""
        found = identify_path(move.destination)
        if found is None or found.is_same_file(identity):
            return found is not None
        if found.device == identity.device and not self._crosses_mounts(move):
            return _is_file_at(move.destination, identity)
        return hash_file(move.destination) == hash_file(move.source)

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

    def _copy(self, move: Move, identity: FileIdentity) -> None:
        """Copy to a hidden name beside the destination, then link that, so that no half file has a name."""
        hidden = _name_copy(move.photo_id, move.destination)
        self.discard_copy(move.photo_id, move.destination)
        try:
            self._write_copy(move.source, hidden, identity.size_bytes)
            if identify_path(move.source) != identity:
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

    def _arrive(self, placed: _Placed, results: dict[int, MoveResult]) -> _Placed:
        """Make the new names durable; return those that are."""
        failed = self._synced(move.destination.parent for move, _ in placed)
        return _drop_hindered(placed, results, lambda move: failed.get(move.destination.parent))

    def _leave(self, placed: _Placed, results: dict[int, MoveResult]) -> _Placed:
        """Remove the old names, durably; return those that are gone."""
        kept = {move.photo_id: self._withdraw(move, identity) for move, identity in placed}
        placed = _drop_hindered(placed, results, lambda move: kept[move.photo_id])
        failed = self._synced(move.source.parent for move, _ in placed)
        return _drop_hindered(placed, results, lambda move: failed.get(move.source.parent))

    def _withdraw(self, move: Move, identity: FileIdentity) -> str | None:
        """Remove the source's name, unless it stands for something else by now; return what hinders it."""
        found = identify_path(move.source)
        if found is None or not found.is_same_file(identity):
            return None
        if found != identity and not _is_file_at(move.destination, identity):
            return None  # it was written to after it had been copied: that is another photo
        try:
            self._do.unlink(move.source)
        except OSError as error:
            return _explain(error)
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
                failed[folder] = _explain(error)
        return failed


def _is_file_at(path: Path, identity: FileIdentity) -> bool:
    found = identify_path(path)
    return found is not None and found.is_same_file(identity)


def _drop_hindered(
    placed: _Placed, results: dict[int, MoveResult], cause: Callable[[Move], str | None]
) -> _Placed:
    """Note those that something hinders among the results, and return the others."""
    for move, _ in placed:
        if detail := cause(move):
            results[move.photo_id] = MoveHindered(move, detail)
    return [(move, identity) for move, identity in placed if move.photo_id not in results]


def _copy_attributes(source: Path, copy: Path) -> None:
    # What the other file system or a sandbox does not take (EPERM; EINVAL for an owner that a container
    # does not know) is left: the photo counts for more.
    found = source.lstat()
    with suppress(OSError):
        os.chown(copy, found.st_uid, found.st_gid, follow_symlinks=False)
    with suppress(OSError):
        shutil.copystat(source, copy, follow_symlinks=False)


def _explain(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"


def _name_copy(photo_id: int, destination: Path) -> Path:
    return destination.with_name(f".moodsort-{photo_id}.part")
