"""What a child process was given, and whether what it sends is in its turn."""

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from worker.config import Limits
from worker.errors import REVIEW_REASONS, Reason
from worker.fileio import FileIdentity
from worker.pool.channel import ProtocolViolation
from worker.pool.messages import (
    Declined,
    Digest,
    Done,
    FileReport,
    HashProgress,
    Opened,
    Syncing,
    Unread,
    count_slices,
)
from worker.pool.photo_file import GONE_ERRORS, translate_error
from worker.pool.protocol import (
    AnyResult,
    Completed,
    Delayed,
    Gone,
    Hashed,
    HashJob,
    Job,
    Refused,
    SourceFile,
    T,
)

HashOutcome = SourceFile | Refused | Gone | Delayed


@dataclass(slots=True)
class SentJob:
    """A file that a process works on or is going to, and how far it is."""

    job: Job
    identity: FileIdentity
    is_suspect: bool
    sha256: str | None = None
    is_syncing: bool = False

    @property
    def is_decoding(self) -> bool:
        """Whether the file's content is at work."""
        return self.sha256 is not None and not self.is_syncing

    @property
    def file(self) -> SourceFile | None:
        """The file, once it was read."""
        return None if self.sha256 is None else SourceFile(self.identity, self.sha256)


@dataclass(slots=True)
class SentHash:
    """A file that a process hashes, for its own sake or a photo of too many bytes, and how far it is."""

    job: HashJob | Job
    identity: FileIdentity
    slices: int = 0

    def advance(self) -> None:
        """Count a slice. Raises ProtocolViolation for more than the file has."""
        self.slices += 1
        if self.slices > count_slices(self.identity.size_bytes):
            raise ProtocolViolation("it has hashed more than the file has")


@dataclass(slots=True)
class Ledger(Generic[T]):
    """The files of one process, which is not trusted: a file may have taken it over.

    It works on `sent` in their order; the `hashes` advance beside them.
    """

    limits: Limits
    decode: Callable[[bytes], T]
    sent: deque[SentJob] = field(default_factory=deque)
    hashes: dict[int, SentHash] = field(default_factory=dict)

    @property
    def head(self) -> SentJob | None:
        """The file that is in work."""
        return self.sent[0] if self.sent else None

    def take_report(self, report: FileReport) -> AnyResult[T] | None:
        """Record a message; return the result that it makes. Raises ValueError for one out of turn."""
        match report:
            case HashProgress(key):
                self._find_hash(key).advance()
                return None
            case Digest(key, sha256):
                sent = self._find_hash(key)
                return self._finish_hash(sent, SourceFile(sent.identity, sha256))
            case Unread(key, number) if key in self.hashes:
                return self._finish_hash(self.hashes[key], self._translate_unread(key, number))
            case _:
                return self._take_job_report(report)

    def _take_job_report(self, report: Opened | Syncing | Done | Declined | Unread) -> AnyResult[T] | None:
        head = self.head
        if head is None or head.job.key != report.key:
            raise ProtocolViolation("it has named a file that is not in its turn")
        match report:
            case Opened(_, sha256) if head.sha256 is None:
                head.sha256 = sha256
                return None
            case Syncing() if head.is_decoding and not head.is_suspect:
                head.is_syncing = True
                return None
            # What was read to its end can only fail to be durable.
            case Unread(key, number) if head.sha256 is None or number == errno.EIO:
                outcome = self._translate_unread(key, number)
                self.sent.popleft()
                return outcome
            case Done() | Declined() if head.file is not None:
                # Read before it is struck off: where the result is impossible, the job is still to be done.
                result = self._make_result(report, head.file)
                self.sent.popleft()
                return result
        raise ProtocolViolation(f"it has sent {type(report).__name__} out of turn")

    def _make_result(self, report: Done | Declined, file: SourceFile) -> AnyResult[T]:
        match report:
            case Declined(_, reason, _) if reason in REVIEW_REASONS:
                raise ProtocolViolation(f"it has refused a file as {reason}")
            case Declined(key, reason, detail):
                return Refused(key, file, reason, detail)
            case Done(key, seconds, result):
                return Completed(key, file, seconds, self.decode(result))

    def _translate_unread(self, key: int, number: int) -> Gone | Delayed | Refused:
        if number in GONE_ERRORS:  # the parent has opened it, so that it is there
            raise ProtocolViolation("it has said that an open file is gone")
        return translate_error(key, number)

    def _find_hash(self, key: int) -> SentHash:
        if key not in self.hashes:
            raise ProtocolViolation("it has named a file that it does not hash")
        return self.hashes[key]

    def _finish_hash(self, sent: SentHash, outcome: HashOutcome) -> AnyResult[T]:
        del self.hashes[sent.job.key]
        if isinstance(sent.job, HashJob):
            return Hashed(sent.job.key, outcome)
        if not isinstance(outcome, SourceFile):
            return outcome
        limit = self.limits.max_file_bytes
        detail = f"{sent.identity.size_bytes} bytes; limits.max_file_bytes is {limit}"
        return Refused(sent.job.key, outcome, Reason.TOO_MANY_BYTES, detail)
