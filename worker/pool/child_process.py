"""The parent's side of one child process: hand it files, read what it sends, and measure its time."""

import logging
import os
import subprocess
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from worker.errors import Reason
from worker.pool.channel import ParentChannel, ProtocolViolation
from worker.pool.ledger import Ledger, SentHash, SentJob
from worker.pool.messages import Begin, Failure, FileReport, Hash, Ready, Unfit, Work, decode_report, encode
from worker.pool.photo_file import OpenedFile, OpenFile, open_regular
from worker.pool.process_clock import Excess, ProcessClock, make_probe
from worker.pool.protocol import AnyResult, Hashed, HashJob, Job, SourceFile, T
from worker.pool.retries import Cause, Death, explain_exit

logger = logging.getLogger(__name__)

_WINDOW = 16
"""So many files at most lie open in the connection: more than are done while the parent moves a batch."""

_EXIT_SECONDS = 1.0
"""How long a process that has closed its connection may take to end: its exit status tells the cause."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job for a process, and whether a process has ended while it worked on this file."""

    job: Job
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a process had in hand when it ended.

    `suspect` was in work, `file` is what had been read of it; it was `is_alone` where nothing else was given.
    """

    suspect: Job | None
    file: SourceFile | None
    is_decoding: bool
    is_alone: bool
    blameless: list[Job]
    hash_jobs: list[HashJob]


class ChildProcess(Generic[T]):
    """One child process; `death` says why it is to be replaced, None while it is not."""

    def __init__(
        self, popen: "subprocess.Popen[bytes]", channel: ParentChannel, ledger: Ledger[T], now: float
    ) -> None:
        self._popen = popen
        self._channel = channel
        self._ledger = ledger
        self._clock = ProcessClock(make_probe(popen.pid))
        self._clock.start_loading(now)
        self._waiting: deque[Assignment] = deque()
        self._is_alone = False
        self.last_message_at = now
        self.is_ready = False
        self._failure: str | None = None
        self.death: Death | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def is_busy(self) -> bool:
        """Whether any result is to come of it."""
        return bool(self._waiting or self._ledger.sent or self._ledger.hashes)

    @property
    def is_free(self) -> bool:
        """Whether it could work on a batch at once."""
        return self.is_ready and not self._waiting and not self._ledger.sent

    @property
    def hash_count(self) -> int:
        """How many files it is hashing."""
        return len(self._ledger.hashes)

    @property
    def next_deadline(self) -> float:
        """When to look at it again although it has sent nothing."""
        return self._clock.next_check

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._channel.fileno()

    def begin(self, begin: Begin) -> None:
        """Tell it what to do."""
        self._send(encode(begin))

    def assign(self, assignments: Sequence[Assignment]) -> None:
        """Give it a batch; `send_files` sends it."""
        self._is_alone = len(assignments) == 1 and not self._ledger.hashes
        self._waiting.extend(assignments)

    def send_files(self, open_file: OpenFile, now: float) -> list[AnyResult[T]]:
        """Send as many files of its batch as it should have; return the results of those that do not open."""
        results: list[AnyResult[T]] = []
        was_busy = bool(self._ledger.sent)
        while self._waiting and len(self._ledger.sent) < _WINDOW:
            assignment = self._waiting[0]
            opened = open_regular(assignment.job.key, assignment.job.path, open_file)
            if not isinstance(opened, OpenedFile):
                results.append(opened)
            elif not self._send_opened(assignment, opened):
                break
            self._waiting.popleft()
        if self.is_busy and not was_busy:
            self._restart_clock(now)
        return results

    def send_hash(self, job: HashJob, open_file: OpenFile, now: float) -> list[AnyResult[T]]:
        """Have it hash a file, beside its batch; return the result where the file does not open."""
        opened = open_regular(job.key, job.path, open_file)
        if not isinstance(opened, OpenedFile):
            return [Hashed(job.key, opened)]
        was_busy = self.is_busy
        # Also where nothing can be sent: its end, which follows, brings the job back.
        self._ledger.hashes[job.key] = SentHash(job, opened.identity)
        self._send_file(encode(Hash(job.key, opened.identity.size_bytes)), opened)
        if not was_busy:
            self._restart_clock(now)
        return []

    def receive(self, now: float) -> tuple[list[AnyResult[T]], list[Ready | Unfit]]:
        """Read what it has sent: results, and whether it could load its task; it may have a `death` then."""
        results: list[AnyResult[T]] = []
        starts: list[Ready | Unfit] = []
        try:
            for data in self._channel.receive():
                report = decode_report(data)
                self.last_message_at = now
                if isinstance(report, Ready | Unfit):
                    starts.append(self._take_start(report, now))
                elif isinstance(report, Failure):
                    self._take_failure(report)
                elif (result := self._take_report(report, now)) is not None:
                    results.append(result)
        except (ValueError, RecursionError) as error:  # msgspec also reads what it skips level by level
            self._blame(Reason.DECODER_CRASHED, f"the decoder broke the protocol: {error}")
        except (EOFError, OSError):
            self.death = self._await_exit()
        else:
            # After its messages were read: one that has answered is not overdue, however late it is asked.
            self._check_clock(now)
        return results, starts

    def list_remainder(self) -> Remainder:
        """Return what it has not finished."""
        head = self._ledger.head
        jobs = [sent.job for sent in self._ledger.sent] + [assigned.job for assigned in self._waiting]
        suspects, blameless = (jobs[:1], jobs[1:]) if head else ([], jobs)
        hashed = [sent.job for sent in self._ledger.hashes.values()]
        return Remainder(
            suspect=suspects[0] if suspects else None,
            file=head.file if head else None,
            is_decoding=head is not None and head.is_decoding,
            is_alone=self._is_alone and not hashed,
            blameless=blameless + [job for job in hashed if isinstance(job, Job)],
            hash_jobs=[job for job in hashed if isinstance(job, HashJob)],
        )

    def kill(self) -> None:
        """End it, if it has not ended by itself; `wait` says when it is gone."""
        self._channel.close()
        if self._popen.poll() is None:
            self._popen.kill()

    def wait(self, seconds: float) -> bool:
        """Wait until it is gone; return False where it is not: what waits for a disk cannot be killed."""
        try:
            self._popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _take_start(self, report: Ready | Unfit, now: float) -> Ready | Unfit:
        if self.is_ready:
            raise ProtocolViolation("it has loaded its task before")
        self.is_ready = isinstance(report, Ready)
        self._restart_clock(now)
        return report

    def _take_failure(self, report: Failure) -> None:
        if self._failure is not None:
            raise ProtocolViolation("it has failed before")
        self._failure = report.detail

    def _take_report(self, report: FileReport, now: float) -> AnyResult[T] | None:
        head = self._ledger.head
        result = self._ledger.take_report(report)
        # What is hashed beside it gives the file in work no more time.
        if head is None or head.job.key == report.key:
            self._restart_clock(now)
        return result

    def _send_opened(self, assignment: Assignment, opened: OpenedFile) -> bool:
        job, is_suspect = assignment.job, assignment.is_suspect
        if opened.identity.size_bytes > self._ledger.limits.max_file_bytes:
            if is_sent := self._send_file(encode(Hash(job.key, opened.identity.size_bytes)), opened):
                self._ledger.hashes[job.key] = SentHash(job, opened.identity)
        elif is_sent := self._send_file(
            encode(Work(job.key, opened.identity.size_bytes, is_suspect)), opened
        ):
            self._ledger.sent.append(SentJob(job, opened.identity, is_suspect))
        return is_sent

    def _send_file(self, message: bytes, opened: OpenedFile) -> bool:
        try:
            return self._send(message, opened.descriptor)
        finally:
            os.close(opened.descriptor)

    def _send(self, message: bytes, descriptor: int | None = None) -> bool:
        try:
            return self._channel.send(message, descriptor)
        except OSError:  # it is dead, which `receive` notices, or too many open files are on their way
            logger.debug("nothing can be sent to a child process", extra={"pid": self.pid})
            return False

    def _restart_clock(self, now: float) -> None:
        head = self._ledger.head
        if self.is_busy:
            is_decoding = head is not None and head.is_decoding
            self._clock.start(now, self._ledger.limits.decode_seconds, is_file_at_work=is_decoding)
        elif self.is_ready:
            self._clock.rest()

    def _check_clock(self, now: float) -> None:
        match self._clock.check(now):
            case Excess.FILE:
                limit = f"{self._ledger.limits.decode_seconds:g} seconds"
                self._blame(Reason.DECODE_TIMEOUT, f"decoding it took more than {limit}")
            case Excess.STOP:
                detail = "the decoder was stopped from outside"
                self.death = Death(Cause.STOP, Reason.DECODE_TIMEOUT, detail)
            case Excess.MACHINE:
                detail = "the machine kept the decoder waiting for too long"
                self.death = Death(Cause.WAIT, Reason.DECODE_TIMEOUT, detail)

    def _blame(self, reason: Reason, detail: str) -> None:
        self.death = Death(Cause.ITSELF, reason, detail)

    def _await_exit(self) -> Death:
        try:
            return explain_exit(self._popen.wait(timeout=_EXIT_SECONDS), self._failure)
        except subprocess.TimeoutExpired:
            detail = "the decoder has closed its connection, and goes on"
            return Death(Cause.ITSELF, Reason.DECODER_CRASHED, detail)
