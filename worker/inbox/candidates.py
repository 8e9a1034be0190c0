"""Decide which candidates are settled, from what was seen of them and when; no file is touched here."""

from dataclasses import dataclass
from enum import Enum

from worker.fileio import FileIdentity


class Writer(Enum):
    """Whether somebody has a file open for writing."""

    NONE = "none"
    PRESENT = "present"
    UNKNOWN = "unknown"


class Hint(Enum):
    """How a candidate came to notice: a whole file at once, or something that may still grow."""

    WHOLE = "whole"
    SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Inspection:
    """A candidate at one moment; `identity` is None for what is gone or no regular file."""

    identity: FileIdentity | None
    writer: Writer


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a path: the hint, and since when its file has been as it is."""

    hint: Hint
    identity: FileIdentity | None
    still_since: float


def observe_candidate(before: Candidate | None, hint: Hint, look: Inspection, now: float) -> Candidate:
    """Return the candidate after one more look at it."""
    if before is not None and before.identity == look.identity:
        still_since = before.still_since
        if before.hint is Hint.WHOLE:
            hint = Hint.WHOLE
    else:
        still_since = now
    if look.writer is Writer.PRESENT:
        still_since, hint = now, Hint.SEEN
    return Candidate(hint, look.identity, still_since)


def is_settled(
    candidate: Candidate, look: Inspection, now: float, wall_now: float, settle_seconds: float
) -> bool:
    """Tell whether no one is writing the candidate any more.

    Where writers can be asked for (a local file), a file that was closed or renamed in is settled at once,
    and one found later as soon as it is `settle_seconds` old. Elsewhere, and for empty files, which are
    often placeholders of a download, it has to be seen unchanged for `settle_seconds`.
    `now` counts on from anywhere; `wall_now` is in seconds since 1970, like ctime.
    """
    identity = candidate.identity
    if identity is None or look.writer is Writer.PRESENT:
        return False
    if look.writer is Writer.NONE:
        if candidate.hint is Hint.WHOLE and identity.size_bytes > 0:
            return True
        if wall_now - identity.changed_ns / 1e9 >= settle_seconds:
            return True
    return now - candidate.still_since >= settle_seconds
