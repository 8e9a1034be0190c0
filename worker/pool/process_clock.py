"""What a child process spends its time on: computing, sleeping, or waiting for the machine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_CPUCLOCK_SCHED = 2
"""The clock of a whole process (clock_getcpuclockid(3); linux/posix-timers_types.h)."""

_CHECKS_PER_LIMIT = 8
_MAX_CHECK_SECONDS = 1.0

_PATIENCE_FACTOR = 10
"""A busy machine or a slow disk may take so many times a file's own limit; then it is tried again."""

START_SECONDS = 60.0
"""How long a process may take to load its task, on a slow disk and a busy machine."""


def compute_patience(file_seconds: float) -> float:
    """Return how long a process may be kept waiting by the machine, for the time limit of a file."""
    return file_seconds * _PATIENCE_FACTOR + START_SECONDS


class Activity(Enum):
    """What the threads of a process are doing, of all the one that says most."""

    RUNNING = "running"  # or waiting for the disk or for a core
    STOPPED = "stopped"
    ASLEEP = "asleep"


class Excess(Enum):
    """Why a process has taken too long: by its file, by somebody who has stopped it, or by the machine."""

    FILE = "file"
    STOP = "stop"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at a process: the processor seconds that it has used, where the system tells, and its state."""

    cpu_seconds: float | None
    activity: Activity


Probe = Callable[[], Sample]


def make_probe(pid: int) -> Probe:
    """Return a function that looks at a process."""
    clock = (~pid << 3) | _CPUCLOCK_SCHED
    tasks = Path(f"/proc/{pid}/task")

    def probe() -> Sample:
        try:
            cpu_seconds = time.clock_gettime(clock)
            states = {_read_state(task) for task in tasks.iterdir()}
        except OSError:  # not Linux, or it has ended: nothing is known, so that its time counts
            return Sample(None, Activity.ASLEEP)
        return Sample(cpu_seconds, _combine_states(states))

    return probe


def _read_state(task: Path) -> str:
    # After the name, which may hold anything (proc_pid_stat(5)).
    return (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]


def _combine_states(states: set[str]) -> Activity:
    if states & {"T", "t"}:
        return Activity.STOPPED
    return Activity.ASLEEP if states <= {"S"} else Activity.RUNNING


class ProcessClock:
    """Measures what a process does between two of its messages.

    A file's own time is what its decoder computes, and what it sleeps while nothing but itself can wake it,
    each up to the limit. Waiting for the disk, for a core, or through a stop is the machine's. A time in
    which the parent itself did not run, as on a machine that was frozen, counts as no more than two checks.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.rest()

    def rest(self) -> None:
        """Measure nothing: the process has nothing to do."""
        self.next_check = math.inf

    def start(self, now: float, file_seconds: float, *, is_file_at_work: bool) -> None:
        """Measure from now on; only a file that is being decoded can be to blame."""
        self._file_seconds = file_seconds if is_file_at_work else math.inf
        self._stop_seconds = file_seconds
        self._machine_seconds = compute_patience(file_seconds)
        self._begin(now, file_seconds)
        # The other phases are no file's, and cost a photo no system call.
        self._last_cpu = self._probe().cpu_seconds if is_file_at_work else None

    def start_loading(self, now: float) -> None:
        """Measure the start of a process."""
        self._file_seconds = math.inf
        self._stop_seconds = self._machine_seconds = START_SECONDS
        self._begin(now, START_SECONDS)
        self._last_cpu = None

    def _begin(self, now: float, seconds: float) -> None:
        self._pause = min(_MAX_CHECK_SECONDS, seconds / _CHECKS_PER_LIMIT)
        self._last_check = now
        self.next_check = now + self._pause
        self._computed = self._slept = self._stopped = self._awake = 0.0

    def check(self, now: float) -> Excess | None:
        """Look at the process where it is time to, and say whether it has taken too long, and by whom."""
        if now < self.next_check:
            return None
        self._count(self._probe(), min(now - self._last_check, 2 * self._pause))
        self._last_check = now
        self.next_check = now + self._pause
        if max(self._computed, self._slept) >= self._file_seconds:
            return Excess.FILE
        if self._stopped >= self._stop_seconds:
            return Excess.STOP
        return Excess.MACHINE if self._awake >= self._machine_seconds else None

    def _count(self, sample: Sample, seconds: float) -> None:
        computed = 0.0
        if sample.cpu_seconds is not None:
            computed = sample.cpu_seconds - (
                self._last_cpu if self._last_cpu is not None else sample.cpu_seconds
            )
            self._last_cpu = sample.cpu_seconds
        self._computed += computed
        self._awake += seconds
        match sample.activity:
            case Activity.ASLEEP:
                self._slept += max(0.0, seconds - computed)
            case Activity.STOPPED:
                self._stopped += seconds
