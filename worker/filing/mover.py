"""Move photos to their destinations without overwriting any file and without losing one on the way."""

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
"""The errors of link(2) on file systems without hard links, or on files that may not have more of them."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Move:
    """A photo on its way to its destination; `identity` is that of the file that was read, if it could be."""

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
    """Another file has the name of the destination; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """The source is gone, or is not the file that was read; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class MoveHindered:
    """The file system refused; the file is still at its source."""

    move: Move
    detail: str


MoveResult = Moved | DestinationTaken | SourceChanged | MoveHindered

_LinkedMoves = list[tuple[Move, FileIdentity]]
"""Moves whose file has its new name, each with the identity of the file at its source."""


class Mover:
    """Moves files in batches, so that a folder is synced once for many of them."""

    def __init__(self, operations: FileOperations | None = None) -> None:
        self._operations = operations or FileOperations()
        # Between batches it holds the moves that were hindered after their link: a file that was renamed has
        # left its source by then, and one that was copied cannot be recognised by its inode.
        self._linked: dict[int, tuple[Path, FileIdentity]] = {}

    def move_all(self, moves: Sequence[Move]) -> list[MoveResult]:
        """Move each photo: link, sync the folders, unlink, sync again.

        An interruption between any two calls leaves the file whole at its source, at its destination, or at
        both as one inode; making the same move again finishes it.
        """
        results: dict[int, MoveResult] = {}
        linked: _LinkedMoves = []
        for move in moves:
            outcome = self._try_link(move)
            if isinstance(outcome, FileIdentity):
                self._linked[move.photo_id] = move.destination, outcome
                linked.append((move, outcome))
            else:
                results[move.photo_id] = outcome
        # In this order a power cut between the two cannot leave a photo without a name.
        for step in (self._sync_destinations, self._unlink_sources):
            linked = step(linked, results)
        for move, _ in linked:
            del self._linked[move.photo_id]
            results[move.photo_id] = Moved(move)
        return [results[move.photo_id] for move in moves]

    def discard_copy(self, photo_id: int, destination: Path) -> None:
        """Remove the hidden copy that a crash may have left beside a destination."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._operations.unlink(_build_copy_path(photo_id, destination))

    def _try_link(self, move: Move) -> MoveResult | FileIdentity:
        try:
            return self._link_or_copy(move)
        except FileNotFoundError:
            return SourceChanged(move)
        except FileExistsError:
            return DestinationTaken(move)
        except OSError as error:
            return MoveHindered(move, _describe_error(error))

    def _link_or_copy(self, move: Move) -> MoveResult | FileIdentity:
        """Give the file its new name; return its identity at its source."""
        destination, linked_identity = self._linked.get(move.photo_id, (None, None))
        if linked_identity and destination == move.destination and identify_path(destination):
            return linked_identity
        identity = identify_path(move.source)
        if identity is None or move.identity not in (None, identity):
            # An interrupted move has changed the file's ctime, or has removed its old name already.
            if move.identity is not None and _is_file_at(move.destination, move.identity):
                return move.identity
            return SourceChanged(move)
        self._make_folders(move.destination.parent)
        try:
            # Not rename(2), which replaces a file that has taken the name in the meantime.
            self._operations.link(move.source, move.destination)
        except FileExistsError:
            return identity if self._has_arrived(move, identity) else DestinationTaken(move)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._copy(move, identity)
            elif error.errno in _LINK_REFUSED:
                self._operations.rename_without_replacing(move.source, move.destination)
            else:
                raise
        return identity

    def _has_arrived(self, move: Move, identity: FileIdentity) -> bool:
        """Tell whether the file at the destination is the photo, put there by an interrupted move."""
        destination_identity = identify_path(move.destination)
        if destination_identity is None or destination_identity.is_same_file(identity):
            return destination_identity is not None
        if destination_identity.device == identity.device and not self._crosses_mounts(move):
            return _is_file_at(move.destination, identity)
        # Between file systems a photo is copied, and has another inode there: only its content can tell.
        try:
            return hash_file(move.destination) == hash_file(move.source)
        except (FileNotFoundError, NotADirectoryError):
            return False  # one of them has vanished; the next move sees which

    def _crosses_mounts(self, move: Move) -> bool:
        # Two bind mounts of one file system, as containers have them, share a device, and yet links fail.
        # link(2) reports first that the name is taken; renameat2(2) reports EXDEV first (fs/namei.c).
        try:
            self._operations.rename_without_replacing(move.source, move.destination)
        except OSError as error:
            if error.errno not in _LINK_REFUSED | {errno.EXDEV, errno.EEXIST}:
                raise
            return error.errno == errno.EXDEV
        return False

    def _copy(self, move: Move, identity: FileIdentity) -> None:
        """Copy to a hidden name and link that, so that no incomplete file is ever at the destination."""
        hidden = _build_copy_path(move.photo_id, move.destination)
        # O_EXCL would refuse to write where a crash has left an unfinished copy.
        self.discard_copy(move.photo_id, move.destination)
        try:
            self._write_copy(move.source, hidden, identity.size_bytes)
            if identify_path(move.source) != identity:
                # As if it were gone: `_try_link` reports both as SourceChanged.
                raise FileNotFoundError(errno.ENOENT, "the file changed while it was copied")
            try:
                self._operations.link(hidden, move.destination)
            except OSError as error:
                if error.errno not in _LINK_REFUSED:
                    raise
                self._operations.rename_without_replacing(hidden, move.destination)
        finally:
            self.discard_copy(move.photo_id, move.destination)

    def _write_copy(self, source: Path, hidden: Path, size_bytes: int) -> None:
        """Copy the first `size_bytes` of the source, so that a file that grows is not copied for ever."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        # The permissions of the source are copied last: until then nobody else may read it.
        descriptor = os.open(hidden, flags, 0o600)
        try:
            with source.open("rb", buffering=0) as file:
                while chunk := file.read(min(_CHUNK_BYTES, size_bytes)):
                    size_bytes -= len(chunk)
                    view = memoryview(chunk)
                    # write(2) may write less than it is given.
                    while view:
                        view = view[self._operations.write(descriptor, view) :]
            # Before fsync(2), which then makes the attributes durable as well.
            _copy_attributes(source, hidden)
            self._operations.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sync_destinations(self, linked: _LinkedMoves, results: dict[int, MoveResult]) -> _LinkedMoves:
        """Make the new names durable; return the moves that succeeded."""
        failures = self._sync_folders(move.destination.parent for move, _ in linked)
        return _drop_hindered(linked, results, lambda move: failures.get(move.destination.parent))

    def _unlink_sources(self, linked: _LinkedMoves, results: dict[int, MoveResult]) -> _LinkedMoves:
        """Remove the old names, durably; return the moves that succeeded."""
        causes = {move.photo_id: self._unlink_source(move, identity) for move, identity in linked}
        linked = _drop_hindered(linked, results, lambda move: causes[move.photo_id])
        failures = self._sync_folders(move.source.parent for move, _ in linked)
        return _drop_hindered(linked, results, lambda move: failures.get(move.source.parent))

    def _unlink_source(self, move: Move, identity: FileIdentity) -> str | None:
        """Remove the old name unless it belongs to another file by now; return the cause of a failure."""
        source_identity = identify_path(move.source)
        # A rename has removed the old name already; a file that has come to it since is another photo.
        if source_identity is None or not source_identity.is_same_file(identity):
            return None
        if source_identity != identity and not _is_file_at(move.destination, identity):
            return None  # it was written to after it had been copied: that is another photo
        try:
            self._operations.unlink(move.source)
        except OSError as error:
            return _describe_error(error)
        return None

    def _make_folders(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            with suppress(FileExistsError):
                self._operations.make_folder(folder)
            # mkdir(2)'s own EEXIST, of a file in the way, would be taken for a photo at the destination.
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(folder))
            # Without this the folder itself may be gone after a power cut, and the photo with it.
            self._operations.sync_folder(folder.parent)

    def _sync_folders(self, folders: Iterable[Path]) -> dict[Path, str]:
        """Sync each folder once; return those that failed, with the cause."""
        failures = {}
        for folder in dict.fromkeys(folders):
            try:
                self._operations.sync_folder(folder)
            except FileNotFoundError:
                continue  # it is gone, and no name is left in it to make durable
            except OSError as error:
                failures[folder] = _describe_error(error)
        return failures


def _is_file_at(path: Path, identity: FileIdentity) -> bool:
    path_identity = identify_path(path)
    return path_identity is not None and path_identity.is_same_file(identity)


def _drop_hindered(
    linked: _LinkedMoves, results: dict[int, MoveResult], find_cause: Callable[[Move], str | None]
) -> _LinkedMoves:
    """Add the moves that have a cause of failure to the results, and return the remaining ones."""
    for move, _ in linked:
        if cause := find_cause(move):
            results[move.photo_id] = MoveHindered(move, cause)
    return [(move, identity) for move, identity in linked if move.photo_id not in results]


def _copy_attributes(source: Path, copy: Path) -> None:
    # Attributes that the other file system or a sandbox refuses (EPERM; EINVAL for an owner that a container
    # does not know) are lost: the photo matters more.
    status = source.lstat()
    with suppress(OSError):
        os.chown(copy, status.st_uid, status.st_gid, follow_symlinks=False)
    with suppress(OSError):
        shutil.copystat(source, copy, follow_symlinks=False)


def _describe_error(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"


def _build_copy_path(photo_id: int, destination: Path) -> Path:
    return destination.with_name(f".moodsort-{photo_id}.part")
