"""Work out what a worker that was stopped had done with a photo, from its row and the two paths."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.fileio import FileIdentity, hash_file, identify_path


class RecoveryAction(Enum):
    """What is left to do with an unfinished photo."""

    PREDICT = "predict"  # it is in the inbox, and what it is has to be found out (again)
    MOVE = "move"  # the decision holds; it has not left, or not quite left, the inbox
    RECORD = "record"  # it has arrived; only the row does not say so yet
    MISSING = "missing"  # it is at neither place


@dataclass(frozen=True, slots=True)
class PathState:
    """What a path holds now; both are None where it holds no regular file."""

    identity: FileIdentity | None
    sha256: str | None


def read_path_state(path: Path) -> PathState:
    """Read what is at a path. Raises OSError where it is there but cannot be read."""
    identity = identify_path(path)
    return PathState(identity, hash_file(path) if identity else None)


def plan_recovery(decided_sha256: str | None, source: PathState, destination: PathState) -> RecoveryAction:
    """Say what is left to do with a decided photo.

    A destination that is the source's own inode, or that holds the decided content, is the photo. A
    destination with other content belongs to somebody else, who came in between: the photo then gets
    another name. A decision about a file that could not be read has no hash; the path has to do.
    """
    if source.identity is None:
        if destination.identity is None:
            return RecoveryAction.MISSING
        return (
            RecoveryAction.RECORD if decided_sha256 in (None, destination.sha256) else RecoveryAction.MISSING
        )
    if destination.identity is not None and destination.identity.is_same_file(source.identity):
        return RecoveryAction.MOVE
    if decided_sha256 in (None, source.sha256):
        return RecoveryAction.MOVE
    if destination.sha256 == decided_sha256:
        return RecoveryAction.RECORD  # it was copied; what has its old name is another photo
    return RecoveryAction.PREDICT
