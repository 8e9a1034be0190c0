"""Work out what a worker that was stopped had done with a photo, from its row and the two paths."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.fileio import Identity, identity_of
from worker.filing.mover import content_sha256


class Next(Enum):
    """What is left to do with an unfinished photo."""

    JUDGE = "judge"  # it is in the inbox, and what it is has to be found out (again)
    MOVE = "move"  # the decision holds; it has not left, or not quite left, the inbox
    RECORD = "record"  # it has arrived; only the row does not say so yet
    MISSING = "missing"  # it is at neither place


@dataclass(frozen=True, slots=True)
class Trace:
    """What a path holds now; both are None where it holds no regular file."""

    identity: Identity | None
    sha256: str | None


def trace_of(path: Path) -> Trace:
    """Read what is at a path. Raises OSError where it is there but cannot be read."""
    try:
        identity = identity_of(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return Trace(None, None)
    return Trace(identity, content_sha256(path) if identity else None)


def what_is_next(decided_sha256: str | None, source: Trace, destination: Trace) -> Next:
    """Say what is left to do with a decided photo.

    A destination that is the source's own inode, or that holds the decided content, is the photo. A
    destination with other content belongs to somebody else, who came in between: the photo then gets
    another name. A decision about a file that could not be read has no hash; the path has to do.
    """
    if source.identity is None:
        if destination.identity is None:
            return Next.MISSING
        return Next.RECORD if decided_sha256 in (None, destination.sha256) else Next.MISSING
    if destination.identity is not None and destination.identity.is_same_file(source.identity):
        return Next.MOVE
    if decided_sha256 in (None, source.sha256):
        return Next.MOVE
    if destination.sha256 == decided_sha256:
        return Next.RECORD  # it was copied; what has its old name is another photo
    return Next.JUDGE
