"""Work out what a stopped worker had done with a photo, from its row and the two paths."""

import os
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.fileio import FileIdentity, hash_descriptor, identify_file
from worker.tree import Entry, Tree


class RecoveryAction(Enum):
    """What is left to do with an unfinished photo."""

    PREDICT = "predict"  # it is in the inbox, and its content is not the one that was decided on
    MOVE = "move"  # the decision holds; the photo is in the inbox, or at both paths
    RECORD = "record"  # it has arrived, which its row does not say yet
    MISSING = "missing"  # it is at neither path


@dataclass(frozen=True, slots=True)
class PathState:
    """What a path holds now; both are None where it holds no regular file."""

    identity: FileIdentity | None
    sha256: str | None


def read_path_state(tree: Tree, path: Path) -> PathState:
    """Read what is at a path below the root of a tree.

    Raises OSError where a file is there but cannot be read, and where the path leads over a symbolic link.
    """
    try:
        entry = tree.find_entry(path)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        if not stat.S_ISREG(_read_mode(entry)):
            return PathState(None, None)
        descriptor = os.open(entry.name, flags, dir_fd=entry.folder.descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return PathState(None, None)
    try:
        identity = identify_file(os.fstat(descriptor))
        return PathState(identity, hash_descriptor(descriptor) if identity else None)
    finally:
        os.close(descriptor)


def _read_mode(entry: Entry) -> int:
    return os.stat(entry.name, dir_fd=entry.folder.descriptor, follow_symlinks=False).st_mode


def plan_recovery(decided_sha256: str | None, source: PathState, destination: PathState) -> RecoveryAction:
    """Return what is left to do with a decided photo.

    A destination that is the inode of the source, or that holds the decided content, is the photo. A
    destination with other content belongs to somebody else and came in between: the photo then gets another
    name. A decision about a file that could not be read has no hash, and only the path counts.
    """
    if source.identity is None:
        if destination.identity is None:
            return RecoveryAction.MISSING
        has_arrived = decided_sha256 in (None, destination.sha256)
        return RecoveryAction.RECORD if has_arrived else RecoveryAction.MISSING
    # Before the hashes: at both paths it is one file, whatever was written to it after the decision.
    if destination.identity is not None and destination.identity.is_same_file(source.identity):
        return RecoveryAction.MOVE
    # Also where both paths hold this content: the mover tells its own copy from another photo.
    if decided_sha256 in (None, source.sha256):
        return RecoveryAction.MOVE
    if destination.sha256 == decided_sha256:
        return RecoveryAction.RECORD  # it was copied; another photo has come under its old name
    return RecoveryAction.PREDICT
