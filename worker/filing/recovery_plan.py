"""Work out what a stopped worker had done with a photo, from its row and the two paths."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from worker.fileio import FileIdentity, KnownFile, hash_descriptor, identify_file
from worker.tree import Tree

_MAX_HASHED_BYTES = 1 << 26
"""A start does not read larger files; photos are smaller."""

_MTIME_STEP_NS = 2_000_000_000
"""FAT keeps times in steps of two seconds, the coarsest of all file systems in use."""


class RecoveryAction(Enum):
    """What is left to do with an unfinished photo."""

    PREDICT = "predict"  # it is in the inbox, and its content is not the one that was decided on
    MOVE = "move"  # the decision holds; the photo is in the inbox, or at both paths
    RECORD = "record"  # it has arrived, which its row does not say yet
    MISSING = "missing"  # it is at neither path


@dataclass(frozen=True, slots=True)
class DecidedFile:
    """What a row says of the file that was decided on: None where it could not be read.

    `file` is None as well in rows that are older than identities.
    """

    file: KnownFile | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class PathState:
    """What a path holds now; `identity` is None where it holds no regular file.

    `read_sha256` reads the whole file, and returns None where it has vanished since. It may raise OSError.
    """

    identity: FileIdentity | None
    read_sha256: Callable[[], str | None]


def read_path_state(tree: Tree, path: Path) -> PathState:
    """Read what is at a path below the root of a tree, which has to stay open while the state is used.

    Raises OSError where the path leads over a symbolic link.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        entry = tree.find_entry(path)
        status = os.stat(entry.name, dir_fd=entry.folder.descriptor, follow_symlinks=False)
        if identity := identify_file(status):
            return PathState(identity, partial(_read_sha256, tree, path))
    return PathState(None, lambda: None)


def _read_sha256(tree: Tree, path: Path) -> str | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        entry = tree.find_entry(path)
        descriptor = os.open(entry.name, flags, dir_fd=entry.folder.descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return hash_descriptor(descriptor) if identify_file(os.fstat(descriptor)) else None
    finally:
        os.close(descriptor)


def plan_recovery(decided: DecidedFile, source: PathState, destination: PathState) -> RecoveryAction:
    """Return what is left to do with a decided photo.

    The file that was decided on is known by its identity: people drop the same names with the same contents
    again. The content is asked of a destination alone, where the file may have been copied to another file
    system, or touched since. A destination with another file belongs to somebody else and came in between.
    """
    if decided.file is None:
        return _plan_by_content(decided.sha256, source, destination)
    is_linked = (
        source.identity and destination.identity and source.identity.is_same_file(destination.identity)
    )
    if is_linked or (source.identity and decided.file.is_at(source.identity)):
        return RecoveryAction.MOVE
    if _has_arrived(decided.file, decided.sha256, destination):
        return RecoveryAction.RECORD  # what is at the source has come since
    return RecoveryAction.PREDICT if source.identity else RecoveryAction.MISSING


def _has_arrived(file: KnownFile, sha256: str | None, destination: PathState) -> bool:
    identity = destination.identity
    if identity is None or file.is_at(identity):
        return identity is not None
    if identity.size_bytes != file.size_bytes:
        return False
    if identity.size_bytes > _MAX_HASHED_BYTES:
        return abs(identity.modified_ns - file.modified_ns) <= _MTIME_STEP_NS  # a copy keeps it
    return destination.read_sha256() == sha256


def _plan_by_content(decided_sha256: str | None, source: PathState, destination: PathState) -> RecoveryAction:
    """Plan for a row that does not know its file; one that could not be read is known by its path alone."""
    if source.identity is None:
        if destination.identity is None:
            return RecoveryAction.MISSING
        has_arrived = decided_sha256 is None or destination.read_sha256() == decided_sha256
        return RecoveryAction.RECORD if has_arrived else RecoveryAction.MISSING
    # Before the hashes: at both paths it is one file, whatever was written to it after the decision.
    if destination.identity is not None and destination.identity.is_same_file(source.identity):
        return RecoveryAction.MOVE
    # Also where both paths hold this content: the mover tells its own copy from another photo.
    if decided_sha256 is None or source.read_sha256() == decided_sha256:
        return RecoveryAction.MOVE
    if destination.identity is not None and destination.read_sha256() == decided_sha256:
        return RecoveryAction.RECORD  # it was copied; another photo has come under its old name
    return RecoveryAction.PREDICT
