"""Keep a number of classifier processes at work, and replace those that die or hang."""

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

from worker.errors import BundleError, Reason
from worker.pool.protocol import FileRead, Job, Opened, Outcome, Ready, Refused, Setup, Unfit

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
"""How long a process may take to load a bundle, on a slow disk and a busy machine."""

Spawn = Callable[[int], "subprocess.Popen[bytes]"]
"""Starts a process that serves the descriptor."""

_START_TRIES = 3

_DYING_SECONDS = 1.0

_SETTINGS = {
    # Where glibc gets to by itself with the first large picture (mallopt(3)); until then it gives the memory
    # of each picture back, and the next one has to be given pages again.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 26),
    # Or NumPy starts a thread for each core as it is imported, which takes as long as all the rest of it.
    "OPENBLAS_NUM_THREADS": "1",
}
"""The environment of a classifier process, as far as the user's says nothing else."""


@dataclass(slots=True)
class _Process:
    """One classifier process, what it has in hand, and when it was last heard."""

    popen: "subprocess.Popen[bytes]"
    connection: Connection
    heard_at: float
    is_ready: bool = False
    unfinished: deque[Job] = field(default_factory=deque)
    finished: list[Outcome] = field(default_factory=list)
    opened: FileRead | None = None
    is_overdue: bool = False


def spawn_process(descriptor: int) -> "subprocess.Popen[bytes]":
    """Start a classifier process that talks on the descriptor, away from the terminal's signals."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "worker.pool.process", str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        env=_SETTINGS | os.environ,
        process_group=0,
    )


def share_of(due: int, processes: int, batch_size: int) -> int:
    """Return how many of the photos that are due a free process is given at once.

    Each has its share, those that are busy as well, so that the last photos are not left to one alone.
    """
    return min(math.ceil(due / processes), batch_size)


class Pool:
    """Classifier processes that take batches and give outcomes, whatever a file does to one of them.

    The photos of a batch whose process died are judged again one by one, the one that was being decoded
    last of all; the one that kills a second process is refused with its reason.
    """

    def __init__(
        self,
        setup: Setup,
        size: int,
        now: float,
        spawn: Spawn = spawn_process,
    ) -> None:
        """Start `size` processes; they load the bundle while the caller goes on."""
        self._setup = setup
        self._size = size
        self._spawn = spawn
        self._again: deque[Job] = deque()
        self._retried: set[int] = set()
        self._failed_starts = 0
        self._heard_at = now
        self._processes: list[_Process] = []
        self._fill(now)

    @property
    def connections(self) -> list[Connection]:
        """What to wait on for news."""
        return [process.connection for process in self._processes]

    @property
    def is_ready(self) -> bool:
        """Whether a photo could be judged at once."""
        return any(process.is_ready for process in self._processes)

    @property
    def room(self) -> int:
        """How many more batches can be taken on without waiting behind another."""
        free = sum(process.is_ready and not process.unfinished for process in self._processes)
        return max(0, free - len(self._again))

    @property
    def size(self) -> int:
        """How many processes there are to be."""
        return self._size

    @property
    def is_busy(self) -> bool:
        """Whether an outcome is owed."""
        return bool(self._again) or any(process.unfinished for process in self._processes)

    def is_stalled(self, now: float) -> bool:
        """Tell whether outcomes are owed and no process has spoken for longer than one may be silent."""
        return self.is_busy and now > self._heard_at + self._setup.decode_seconds + START_SECONDS

    def wait_ready(self, now: Callable[[], float], is_wanted: Callable[[], bool]) -> None:
        """Wait until one process has loaded the bundle and tested it, or until that is not wanted any more.

        Raises BundleError where none can.
        """
        while is_wanted() and not self.is_ready:
            wait(self.connections, timeout=0.2)
            self.collect(now())

    def submit(self, jobs: Sequence[Job], now: float) -> None:
        """Hand a batch to a free process; there has to be `room`."""
        process = next(each for each in self._processes if each.is_ready and not each.unfinished)
        self._give(process, jobs, now)

    def collect(self, now: float) -> list[Outcome]:
        """Return the outcomes of batches that are finished, and mend what has broken."""
        outcomes: list[Outcome] = []
        for process in list(self._processes):
            if not self._hear(process, now):
                outcomes += self._bury(process, now)
            elif not process.unfinished:
                outcomes += self._finished(process)
        self._fill(now)
        self._judge_again(now)
        return outcomes

    def next_deadline(self) -> float:
        """Return the time at which a process that is silent until then counts as hung."""
        return min((self._deadline(process) for process in self._processes), default=math.inf)

    def close(self) -> None:
        """End every process at once; what is unfinished is lost."""
        for process in self._processes:
            self._end(process, patience=0)
        self._processes.clear()

    def _fill(self, now: float) -> None:
        while len(self._processes) < self._size:
            ours, theirs = socket.socketpair()
            with theirs:
                popen = self._spawn(theirs.fileno())
            connection = Connection(ours.detach())
            process = _Process(popen, connection, heard_at=now)
            self._processes.append(process)
            self._send(process, self._setup)

    def _give(self, process: _Process, jobs: Sequence[Job], now: float) -> None:
        process.heard_at = self._heard_at = now
        process.unfinished.extend(jobs)
        self._send(process, list(jobs))

    def _send(self, process: _Process, message: object) -> None:
        try:
            process.connection.send(message)
        except OSError:
            logger.debug("classifier process has gone", extra={"pid": process.popen.pid})

    def _judge_again(self, now: float) -> None:
        for process in self._processes:
            if self._again and process.is_ready and not process.unfinished and not process.finished:
                self._give(process, [replace(self._again.popleft(), is_retried=True)], now)

    def _hear(self, process: _Process, now: float) -> bool:
        """Take in what the process says; return False where it is dead or has to be."""
        try:
            while process.connection.poll():
                self._take_in(process, process.connection.recv())
                process.heard_at = self._heard_at = now
        except (EOFError, OSError):
            return False
        process.is_overdue = now >= self._deadline(process)
        return not process.is_overdue

    def _take_in(self, process: _Process, message: Ready | Unfit | Opened | Outcome) -> None:
        match message:
            case Ready():
                process.is_ready = True
                self._failed_starts = 0
            case Unfit(detail):
                raise BundleError(detail)
            case Opened(_, file):
                process.opened = file
            case outcome:
                process.unfinished.popleft()
                process.finished.append(outcome)
                process.opened = None

    def _deadline(self, process: _Process) -> float:
        if not process.is_ready:
            return process.heard_at + START_SECONDS
        return process.heard_at + self._setup.decode_seconds if process.unfinished else math.inf

    def _finished(self, process: _Process) -> list[Outcome]:
        outcomes = process.finished
        process.finished = []
        self._retried.difference_update(outcome.key for outcome in outcomes)
        return outcomes

    def _bury(self, process: _Process, now: float) -> list[Outcome]:
        self._end(process, patience=0 if process.is_overdue else _DYING_SECONDS)
        self._processes.remove(process)
        cause = self._cause(process)
        logger.warning(
            "classifier process ended",
            extra={"event": "classifier_ended", "pid": process.popen.pid, "cause": cause[1]},
        )
        if not process.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= _START_TRIES:
                raise BundleError(f"classifier processes do not start: {cause[1]}; see moodsort doctor")
        outcomes = self._finished(process)
        if process.unfinished:
            suspect, *others = process.unfinished
            self._again.extendleft(reversed(others))
            self._retried.update(job.key for job in others)
            if suspect.key in self._retried:
                self._retried.remove(suspect.key)
                outcomes.append(Refused(suspect.key, process.opened, *cause))
            else:
                self._retried.add(suspect.key)
                self._again.append(suspect)
        return outcomes

    def _cause(self, process: _Process) -> tuple[Reason, str]:
        limit = self._setup.decode_seconds if process.is_ready else START_SECONDS
        status = process.popen.returncode
        if process.is_overdue or status == -signal.SIGALRM:
            return Reason.DECODE_TIMEOUT, f"decoding it took more than {limit:g} seconds"
        how = f"exit status {status}"
        if status < 0:
            how = f"signal {-status} ({signal.Signals(-status).name})"
        return Reason.DECODER_CRASHED, f"the decoder ended with {how}"

    def _end(self, process: _Process, patience: float) -> None:
        """End a process; one that is dying gets `patience` seconds, so that its exit tells the cause."""
        process.connection.close()
        try:
            process.popen.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()
