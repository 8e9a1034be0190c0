"""Decide which candidates are settled, from inspections and the time alone: nothing here touches a file."""

from dataclasses import dataclass
from enum import Enum

from worker.fileio import FileIdentity


class Writer(Enum):
    """Whether a program has a file open for writing."""

    NONE = "none"
    PRESENT = "present"
    UNKNOWN = "unknown"


class Hint(Enum):
    """How a candidate was noticed: a whole file at once, or something that may still grow."""

    WHOLE = "whole"
    SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Inspection:
    """A path at one moment; `identity` is None where it holds no regular file."""

    identity: FileIdentity | None
    writer: Writer


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a path; `unchanged_since` is the time of the inspection that last saw a change."""

    hint: Hint
    identity: FileIdentity | None
    unchanged_since: float


def observe_candidate(
    previous: Candidate | None, hint: Hint, inspection: Inspection, now: float
) -> Candidate:
    """Return the candidate after another inspection."""
    if previous is not None and previous.identity == inspection.identity:
        unchanged_since = previous.unchanged_since
        if previous.hint is Hint.WHOLE:
            hint = Hint.WHOLE
    else:
        unchanged_since = now
    if inspection.writer is Writer.PRESENT:
        # It is not whole, whatever the last event suggested.
        unchanged_since, hint = now, Hint.SEEN
    return Candidate(hint, inspection.identity, unchanged_since)


def is_settled(
    candidate: Candidate, inspection: Inspection, now: float, wall_now: float, settle_seconds: float
) -> bool:
    """Tell whether nobody is writing the candidate any more.

    Where the kernel knows the writers (of a local file), a file that was closed or renamed in is settled at
    once, and one that a scan has found as soon as its ctime is `settle_seconds` ago; `Inbox` takes the latter
    before where its container says that it is complete. Elsewhere, and for empty
    files, which are often placeholders of a download, it has to be seen unchanged for `settle_seconds`.
    `now` is a monotonic time; `wall_now` is in seconds since 1970, like ctime.
    """
    identity = candidate.identity
    if identity is None or inspection.writer is Writer.PRESENT:
        return False
    if inspection.writer is Writer.NONE:
        if candidate.hint is Hint.WHOLE and identity.size_bytes > 0:
            return True
        if wall_now - identity.changed_ns / 1e9 >= settle_seconds:
            return True
    return now - candidate.unchanged_since >= settle_seconds
