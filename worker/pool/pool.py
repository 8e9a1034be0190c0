"""Keep a number of child processes at work, and replace those that die or hang."""

import logging
import math
import socket
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Generic

from worker.errors import Reason
from worker.pool.channel import ParentChannel
from worker.pool.child_process import Assignment, ChildProcess, Remainder
from worker.pool.jail import Jail
from worker.pool.ledger import Ledger
from worker.pool.messages import Ready, Unfit, describe_setup
from worker.pool.photo_file import OpenFile, open_photo
from worker.pool.process_clock import START_SECONDS, compute_patience
from worker.pool.protocol import (
    AnyResult,
    Delayed,
    Hashed,
    HashJob,
    Job,
    JobResult,
    Refused,
    Setup,
    SourceFile,
    T,
)
from worker.pool.retries import Cause, Death, Retries
from worker.pool.spawn import Spawn, spawn_process
from worker.pool.starts import Starts

logger = logging.getLogger(__name__)

_MAX_HASHES = 4
"""So many files are hashed in a process at the same time."""

_KILL_SECONDS = 0.2
_EXIT_SECONDS = 5.0
"""How long to wait for a process that was killed: one that waits for a disk does not end before that."""


def compute_share(due: int, processes: int, batch_size: int) -> int:
    """Return how many of the files that are due go to a free process at once.

    Busy processes have their share, too, so that the last files do not all wait for one process.
    """
    return min(math.ceil(due / processes), batch_size)


class Pool(Generic[T]):
    """Child processes that take batches and return results, whatever a file does to one of them.

    A file that was being decoded when its process brought its end upon itself is tried once more, alone, and
    refused if that happens again. All else that ends a process is the machine's doing, and its files are
    tried again.
    """

    def __init__(
        self,
        setup: Setup[T],
        size: int,
        now: float,
        spawn: Spawn = spawn_process,
        open_file: OpenFile = open_photo,
    ) -> None:
        """Start `size` processes, which load the task while the caller goes on.

        `open_file` opens the files for them, which they could not. `restarts` counts those that have died, or
        were killed, and were replaced.
        """
        self._setup = setup
        self._begin = describe_setup(setup)
        self._size = size
        self._spawn = spawn
        self.restarts = 0
        self._open_file = open_file
        self._decode: Callable[[bytes], T] | None = None
        self._retries = Retries()
        self._starts = Starts()
        self._hash_jobs: deque[HashJob] = deque()
        self._results: list[JobResult[T]] = []
        self._hashes: list[Hashed] = []
        self._last_message_at = now
        self._processes: list[ChildProcess[T]] = []
        self._dying: list[ChildProcess[T]] = []
        self.jail = Jail((), ())
        self._fill(now)

    @property
    def connections(self) -> list[int]:
        """The descriptors to wait on for messages."""
        return [process.fileno() for process in self._processes]

    @property
    def is_ready(self) -> bool:
        """Whether a file could be worked on at once."""
        return any(process.is_ready for process in self._processes)

    @property
    def room(self) -> int:
        """How many more batches can be submitted without waiting behind another."""
        # Retries came first: `collect` has given each that is due a process.
        return sum(process.is_free for process in self._processes)

    @property
    def size(self) -> int:
        """The number of processes, including those that are just being replaced."""
        return self._size

    @property
    def is_busy(self) -> bool:
        """Whether any result is still to come."""
        has_waiting = bool(self._retries or self._hash_jobs or self._results or self._hashes)
        return has_waiting or any(process.is_busy for process in self._processes)

    def is_stalled(self, now: float) -> bool:
        """Tell whether results are still to come and no process has sent anything for too long."""
        # Both: a process may hang, and the one in its place has to load the task before it says a word.
        patience_seconds = compute_patience(self._setup.limits.decode_seconds) + START_SECONDS
        return self.is_busy and now > self._last_message_at + patience_seconds

    def wait_ready(self, now: Callable[[], float], is_wanted: Callable[[], bool]) -> None:
        """Wait until one process has loaded the task, or until `is_wanted` is false.

        Raises BundleError where none can load it.
        """
        while is_wanted() and not self.is_ready:
            # Not for long: `is_wanted` also notices signals, and feeds the watchdog.
            wait(self.connections, timeout=0.2)
            self._work(now())

    def submit(self, jobs: Sequence[Job], now: float) -> None:
        """Send a batch to a free process; there has to be `room`.

        Those that an earlier process has ended with, and that were delayed since, are tried one at a time.
        """
        batch = [job for job in jobs if not self._retries.is_suspect(job.key)]
        self._retries.add_blameless([job for job in jobs if self._retries.is_suspect(job.key)])
        if batch:
            process = next(process for process in self._processes if process.is_free)
            self._assign(process, [Assignment(job) for job in batch], now)
        self._submit_retries(now)

    def submit_hash(self, job: HashJob, now: float) -> None:
        """Have a file of any size hashed, beside the batches; its key is that of no job."""
        self._hash_jobs.append(job)
        self._send_hashes(now)

    def collect(self, now: float) -> list[JobResult[T]]:
        """Return the results of jobs that are there, and replace processes that have ended."""
        self._work(now)
        results, self._results = self._results, []
        for result in results:
            if not isinstance(result, Delayed):
                self._retries.forget(result.key)
        return results

    def collect_hashes(self) -> list[Hashed]:
        """Return the results of hash jobs that are there since the last `collect`."""
        hashes, self._hashes = self._hashes, []
        return hashes

    def next_deadline(self) -> float:
        """Return the earliest time at which there is something to do although no process sends anything."""
        if self._results or self._hashes:
            return -math.inf
        times = [process.next_deadline for process in self._processes]
        times.append(self._retries.next_due() if self.room else math.inf)
        times.append(self._starts.not_before if len(self._processes) < self._size else math.inf)
        return min(times)

    def close(self) -> None:
        """End every process at once; unfinished jobs have no result."""
        for process in self._processes:
            process.kill()
        for process in [*self._processes, *self._dying]:
            if not process.wait(_EXIT_SECONDS):
                logger.warning("a child process cannot be ended yet", extra={"pid": process.pid})
        self._processes.clear()
        self._dying.clear()

    def _work(self, now: float) -> None:
        for process in list(self._processes):
            results, starts = process.receive(now)
            self._last_message_at = max(self._last_message_at, process.last_message_at)
            self._take(results)
            for report in starts:
                self._take_start(process, report)
            if process.death is not None:
                self._replace(process, process.death, now)
        self._dying = [process for process in self._dying if not process.wait(0)]
        self._fill(now)
        self._submit_retries(now)
        self._send_hashes(now)
        for process in self._processes:
            self._take(process.send_files(self._open_file, now))

    def _take(self, results: Sequence[AnyResult[T]]) -> None:
        for result in results:
            if isinstance(result, Hashed):
                self._hashes.append(result)
            else:
                self._results.append(result)

    def _take_start(self, process: ChildProcess[T], report: Ready | Unfit) -> None:
        if isinstance(report, Unfit):
            self._starts.refuse(report.detail)
            process.death = Death(Cause.KILL, Reason.DECODER_CRASHED, report.detail)
            return
        if self._decode is None:  # now, while what the process has loaded is still there
            self._decode = self._setup.task.make_decoder()
        if report.jail.misses and report.jail != self.jail:  # once, not for every process
            fields = {"event": "unconfined", "detail": "; ".join(report.jail.misses)}
            logger.info("photos are decoded without some restrictions; see moodsort doctor", extra=fields)
        self.jail = report.jail
        self._starts.succeed()

    def _fill(self, now: float) -> None:
        while len(self._processes) < self._size and now >= self._starts.not_before:
            try:
                self._start(now)
            except OSError as error:  # no descriptor or no process is left
                self._last_message_at = now
                self._starts.fail(error.strerror or str(error), now)
                return

    def _start(self, now: float) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:  # closed here, so that the connection ends with the child, which has the other copy
                popen = self._spawn(theirs.fileno())
        except OSError:
            ours.close()
            raise
        ledger = Ledger(self._setup.limits, self._decode_result)
        process = ChildProcess(popen, ParentChannel(ours), ledger, now)
        self._processes.append(process)
        process.begin(self._begin)

    def _decode_result(self, data: bytes) -> T:
        assert self._decode is not None, "a process had a file before it was ready"
        return self._decode(data)

    def _assign(self, process: ChildProcess[T], assignments: Sequence[Assignment], now: float) -> None:
        self._last_message_at = now
        process.assign(assignments)
        self._take(process.send_files(self._open_file, now))

    def _submit_retries(self, now: float) -> None:
        for process in self._processes:
            if process.is_free and (job := self._retries.take_due(now)):
                self._assign(process, [Assignment(job, self._retries.is_suspect(job.key))], now)

    def _send_hashes(self, now: float) -> None:
        for process in sorted(self._processes, key=lambda process: process.hash_count):
            if self._hash_jobs and process.is_ready and process.hash_count < _MAX_HASHES:
                self._take(process.send_hash(self._hash_jobs.popleft(), self._open_file, now))

    def _replace(self, process: ChildProcess[T], death: Death, now: float) -> None:
        self._processes.remove(process)
        self.restarts += 1
        process.kill()
        if not process.wait(_KILL_SECONDS):
            self._dying.append(process)
        fields = {"event": "process_ended", "pid": process.pid, "cause": death.detail}
        if process.is_ready:
            logger.warning("a child process ended", extra=fields)
        else:
            logger.debug("a child process ended before it was ready", extra=fields)
            self._starts.fail(death.detail, now)
        self._retry(process.list_remainder(), death, now)

    def _retry(self, remainder: Remainder, death: Death, now: float) -> None:
        """Put the files of a process that has ended up for another try, or refuse the one that ended it."""
        self._hash_jobs.extend(remainder.hash_jobs)
        self._retries.add_blameless(remainder.blameless)
        suspect = remainder.suspect
        if suspect is None:
            return
        match death.cause:
            case Cause.STOP:
                self._retries.add_blameless([suspect])
            case Cause.WAIT:
                self._results.append(self._put_off(suspect, remainder.file, death))
            case Cause.ITSELF | Cause.KILL:
                is_retried = self._retries.add_suspect(
                    suspect, death, now, is_decoding=remainder.is_decoding, is_alone=remainder.is_alone
                )
                if not is_retried:
                    refusal = Refused(suspect.key, remainder.file, death.reason, death.detail)
                    self._results.append(refusal)

    def _put_off(self, job: Job, file: SourceFile | None, death: Death) -> Delayed | Refused:
        """Delay a file that was kept waiting, or refuse it: once it was read, it has only so many tries."""
        seconds = 0.0 if file is None else self._retries.add_wait(job.key)
        if seconds is None:
            return Refused(job.key, file, death.reason, death.detail)
        return Delayed(job.key, death.detail, seconds)
