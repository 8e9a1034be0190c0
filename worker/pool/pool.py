"""Keep a number of child processes at work, and replace those that die or hang."""

import logging
import math
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Generic

from worker.errors import BundleError, Reason
from worker.pool.protocol import Job, JobResult, Opened, Ready, Refused, Setup, SourceFile, T, Unfit

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
"""How long a process may take to load its task, on a slow disk and a busy machine."""

Spawn = Callable[[int], "subprocess.Popen[bytes]"]
"""Starts a child process that talks on the descriptor."""

_MAX_FAILED_STARTS = 3
"""One may be bad luck, as when memory is short; so many in a row have a cause that stays."""

_EXIT_SECONDS = 1.0
"""How long a process that has closed its connection may take to end: its exit status tells the cause."""

_ENVIRONMENT = {
    # Where glibc gets to by itself with the first large picture (mallopt(3)). Until then it returns the
    # memory of each picture to the kernel, which has to clear pages for the next one.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 26),
    # Otherwise NumPy starts a thread for each core when it is imported, which doubles the time of the import.
    "OPENBLAS_NUM_THREADS": "1",
}
"""The environment of a child process; variables that the user has set win."""


@dataclass(slots=True)
class _Process(Generic[T]):
    """One child process, its jobs, and the time of its last message."""

    popen: "subprocess.Popen[bytes]"
    connection: Connection
    last_message_at: float
    is_ready: bool = False
    unfinished: deque[Job] = field(default_factory=deque)
    results: list[JobResult[T]] = field(default_factory=list)
    opened: SourceFile | None = None
    is_overdue: bool = False


def spawn_process(descriptor: int) -> "subprocess.Popen[bytes]":
    """Start a child process that talks on the descriptor.

    It has a process group of its own, so that Ctrl-C in a terminal reaches the parent alone.
    """
    return subprocess.Popen(
        # -P: never import a module from the folder that the worker was started in.
        [sys.executable, "-P", "-m", "worker.pool.process", str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        env=_ENVIRONMENT | os.environ,
        process_group=0,
    )


def compute_share(due: int, processes: int, batch_size: int) -> int:
    """Return how many of the files that are due go to a free process at once.

    Busy processes have their share, too, so that the last files do not all wait for one process.
    """
    return min(math.ceil(due / processes), batch_size)


class Pool(Generic[T]):
    """Child processes that take batches and return results, whatever a file does to one of them.

    The files of a batch whose process died are retried one by one, the one that was being decoded last of
    all; a file that kills a second process is refused with its reason.
    """

    def __init__(self, setup: Setup[T], size: int, now: float, spawn: Spawn = spawn_process) -> None:
        """Start `size` processes; they load the task while the caller goes on.

        `restarts` counts those that have died, or were killed, and were replaced.
        """
        self._setup = setup
        self._size = size
        self._spawn = spawn
        self._retries: deque[Job] = deque()
        self._retried_keys: set[int] = set()
        self._failed_starts = 0
        self.restarts = 0
        self._last_message_at = now
        self._processes: list[_Process[T]] = []
        self._fill(now)

    @property
    def connections(self) -> list[Connection]:
        """What to wait on for messages."""
        return [process.connection for process in self._processes]

    @property
    def is_ready(self) -> bool:
        """Whether a file could be worked on at once."""
        return any(process.is_ready for process in self._processes)

    @property
    def room(self) -> int:
        """How many more batches can be submitted without waiting behind another."""
        free = sum(process.is_ready and not process.unfinished for process in self._processes)
        # Retries come first: each of them is given the next free process.
        return max(0, free - len(self._retries))

    @property
    def size(self) -> int:
        """The number of processes, including those that are just being replaced."""
        return self._size

    @property
    def is_busy(self) -> bool:
        """Whether any result is still to come."""
        return bool(self._retries) or any(process.unfinished for process in self._processes)

    def is_stalled(self, now: float) -> bool:
        """Tell whether results are still to come and no process has sent anything for too long."""
        # Both: a process may hang, and the one in its place has to load the task before it says a word.
        patience_seconds = self._setup.limits.decode_seconds + START_SECONDS
        return self.is_busy and now > self._last_message_at + patience_seconds

    def wait_ready(self, now: Callable[[], float], is_wanted: Callable[[], bool]) -> None:
        """Wait until one process has loaded the task, or until `is_wanted` is false.

        Raises BundleError where none can load it.
        """
        while is_wanted() and not self.is_ready:
            # Not for long: `is_wanted` also notices signals, and feeds the watchdog.
            wait(self.connections, timeout=0.2)
            self.collect(now())

    def submit(self, jobs: Sequence[Job], now: float) -> None:
        """Send a batch to a free process; there has to be `room`."""
        process = next(process for process in self._processes if process.is_ready and not process.unfinished)
        self._assign(process, jobs, now)

    def collect(self, now: float) -> list[JobResult[T]]:
        """Return the results of batches that are finished, and replace processes that have ended."""
        results: list[JobResult[T]] = []
        for process in list(self._processes):
            if not self._receive(process, now):
                results += self._remove(process, now)
            elif not process.unfinished:
                results += self._take_results(process)
        self._fill(now)
        self._submit_retries(now)
        return results

    def next_deadline(self) -> float:
        """Return the earliest time at which a process that sends nothing until then counts as hung."""
        return min((self._compute_deadline(process) for process in self._processes), default=math.inf)

    def close(self) -> None:
        """End every process at once; unfinished jobs have no result."""
        for process in self._processes:
            self._end(process, patience_seconds=0)
        self._processes.clear()

    def _fill(self, now: float) -> None:
        while len(self._processes) < self._size:
            ours, theirs = socket.socketpair()
            with theirs:  # closed here, so that the connection ends with the child, which has the other copy
                popen = self._spawn(theirs.fileno())
            connection = Connection(ours.detach())
            process: _Process[T] = _Process(popen, connection, last_message_at=now)
            self._processes.append(process)
            self._send(process, self._setup)

    def _assign(self, process: _Process[T], jobs: Sequence[Job], now: float) -> None:
        process.last_message_at = self._last_message_at = now
        process.unfinished.extend(jobs)
        self._send(process, list(jobs))

    def _send(self, process: _Process[T], message: object) -> None:
        try:
            process.connection.send(message)
        except OSError:  # it is dead; `_receive` notices, and its jobs are retried
            logger.debug("a child process has gone", extra={"pid": process.popen.pid})

    def _submit_retries(self, now: float) -> None:
        # One at a time: should the process die again, it is clear of which file.
        for process in self._processes:
            if self._retries and process.is_ready and not process.unfinished and not process.results:
                self._assign(process, [replace(self._retries.popleft(), is_retried=True)], now)

    def _receive(self, process: _Process[T], now: float) -> bool:
        """Handle what the process has sent; return False where it is dead or overdue."""
        try:
            while process.connection.poll():
                self._handle(process, process.connection.recv())
                process.last_message_at = self._last_message_at = now
        except (EOFError, OSError):
            return False
        # After its messages were read: one that has answered is not overdue, however late it is asked.
        process.is_overdue = now >= self._compute_deadline(process)
        return not process.is_overdue

    def _handle(self, process: _Process[T], message: Ready | Unfit | Opened | JobResult[T]) -> None:
        match message:
            case Ready():
                process.is_ready = True
                self._failed_starts = 0
            case Unfit(detail):
                raise BundleError(detail)
            case Opened(_, file):
                process.opened = file
            case result:  # of the oldest unfinished job: a process works on them in their order
                process.unfinished.popleft()
                process.results.append(result)
                process.opened = None

    def _compute_deadline(self, process: _Process[T]) -> float:
        if not process.is_ready:
            return process.last_message_at + START_SECONDS
        return process.last_message_at + self._setup.limits.decode_seconds if process.unfinished else math.inf

    def _take_results(self, process: _Process[T]) -> list[JobResult[T]]:
        results = process.results
        process.results = []
        self._retried_keys.difference_update(result.key for result in results)
        return results

    def _remove(self, process: _Process[T], now: float) -> list[JobResult[T]]:
        self._end(process, patience_seconds=0 if process.is_overdue else _EXIT_SECONDS)
        self._processes.remove(process)
        self.restarts += 1
        reason, detail = self._find_cause(process)
        logger.warning(
            "a child process ended",
            extra={"event": "process_ended", "pid": process.popen.pid, "cause": detail},
        )
        if not process.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise BundleError(f"child processes do not start: {detail}; see moodsort doctor")
        return self._take_results(process) + self._retry_unfinished(process, reason, detail)

    def _retry_unfinished(self, process: _Process[T], reason: Reason, detail: str) -> list[JobResult[T]]:
        """Put the jobs of a dead process up for a retry; return the refusal of the one that was retried."""
        if not process.unfinished:
            return []
        # The first was being worked on; the others only waited behind it, and come before it now.
        suspect, *waiting_jobs = process.unfinished
        # Reversed, because extendleft() turns the order round.
        self._retries.extendleft(reversed(waiting_jobs))
        self._retried_keys.update(job.key for job in waiting_jobs)
        if suspect.key in self._retried_keys:
            self._retried_keys.remove(suspect.key)
            return [Refused(suspect.key, process.opened, reason, detail)]
        self._retried_keys.add(suspect.key)
        self._retries.append(suspect)
        return []

    def _find_cause(self, process: _Process[T]) -> tuple[Reason, str]:
        limit = self._setup.limits.decode_seconds if process.is_ready else START_SECONDS
        status = process.popen.returncode
        if process.is_overdue or status == -signal.SIGALRM:
            return Reason.DECODE_TIMEOUT, f"decoding it took more than {limit:g} seconds"
        cause = f"exit status {status}"
        if status < 0:
            cause = f"signal {-status} ({signal.Signals(-status).name})"
        return Reason.DECODER_CRASHED, f"the decoder ended with {cause}"

    def _end(self, process: _Process[T], patience_seconds: float) -> None:
        """Kill a process that has not ended by itself after `patience_seconds`."""
        # First: a process that still works ends when it finds its connection closed.
        process.connection.close()
        try:
            process.popen.wait(timeout=patience_seconds)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()
