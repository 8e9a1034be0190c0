"""Decide what becomes of the files whose process has ended: tried again, later, or refused."""

import math
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from worker.errors import Reason
from worker.pool.protocol import Job

_OWN_DEATHS = 2
"""One may be a fault of the machine; a file that its decoder dies of twice is the cause."""

_LONE_DEATHS = 5
"""So often may a process be killed from outside that has but one file: then it takes too much memory."""

_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 60.0

_WAITS = 6
_WAIT_SECONDS = 60.0
_WAIT_FACTOR = 4.0
_MAX_WAIT_SECONDS = 3600.0
"""So often may a process be kept waiting that has read its file, tried again within some three hours.

Such a file was synced before it was decoded, unless it is the first time (`Work.is_suspect`). So no disk can
be in its way any more: what remains is a machine too busy for hours, or code that waits on purpose, for
instance by syncing again and again. From outside these look the same, and each try keeps a process from other
files for ten times the limit.
"""

_OWN_SIGNALS = frozenset(
    {
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT),
        *(signal.SIGTRAP, signal.SIGSYS, signal.SIGPROF, signal.SIGXCPU),
    }
)
"""What code brings upon itself; others, SIGKILL of the kernel's OOM killer above all, come from outside."""


class Cause(Enum):
    """What has ended a process."""

    ITSELF = "itself"  # nothing but what it was decoding
    KILL = "kill"  # a signal from outside
    STOP = "stop"  # it was stopped from outside, and replaced
    WAIT = "wait"  # a disk or a busy machine kept it waiting, and it was replaced


@dataclass(frozen=True, slots=True)
class Death:
    """Why a process has ended, or has to."""

    cause: Cause
    reason: Reason
    detail: str


def explain_exit(status: int, failure: str | None = None) -> Death:
    """Explain the exit status of a process, negative for a signal, with the error that it has sent before."""
    if status >= 0:
        detail = f"the decoder ended with exit status {status}" + (f": {failure}" if failure else "")
        return Death(Cause.ITSELF, Reason.DECODER_CRASHED, detail)
    number = -status
    detail = f"the decoder ended with signal {number} ({_name_signal(number)})"
    is_timeout = number in (signal.SIGPROF, signal.SIGXCPU)
    reason = Reason.DECODE_TIMEOUT if is_timeout else Reason.DECODER_CRASHED
    return Death(Cause.ITSELF if number in _OWN_SIGNALS else Cause.KILL, reason, detail)


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return "unnamed"


@dataclass(slots=True)
class _History:
    """How often a process has died with a file: of it, from outside with nothing else to do, or waiting."""

    own: int = 0
    alone: int = 0
    waits: int = 0


@dataclass(slots=True)
class Retries:
    """The files to be tried again, one to a process at a time: should it end again, the cause is clear."""

    _queue: deque[tuple[float, Job]] = field(default_factory=deque)
    _histories: dict[int, _History] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._queue)

    def next_due(self) -> float:
        """Return the time of the next try, infinite where there is none."""
        return min((not_before for not_before, _ in self._queue), default=math.inf)

    def take_due(self, now: float) -> Job | None:
        """Remove and return the first that may be tried now."""
        for index, (not_before, job) in enumerate(self._queue):
            if not_before <= now:
                del self._queue[index]
                return job
        return None

    def is_suspect(self, key: int) -> bool:
        """Tell whether a process has ended while it worked on this file."""
        return key in self._histories

    def add_blameless(self, jobs: Sequence[Job]) -> None:
        """Put up files that may be tried at once, before those that have just ended a process."""
        self._queue.extendleft((-math.inf, job) for job in reversed(jobs))

    def add_suspect(self, job: Job, death: Death, now: float, *, is_decoding: bool, is_alone: bool) -> bool:
        """Put up the file that was in work when its process ended; return False where it is to be refused."""
        history = self._histories.setdefault(job.key, _History())
        not_before = now
        if death.cause is Cause.ITSELF and is_decoding:
            history.own += 1
        elif is_alone:
            not_before += min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**history.alone)
            history.alone += 1
        if history.own >= _OWN_DEATHS or history.alone >= _LONE_DEATHS:
            return False
        self._queue.append((not_before, job))
        return True

    def add_wait(self, key: int) -> float | None:
        """Count that the machine kept a process waiting that had read this file.

        Returns the seconds until it is to be tried again, None where it is to be refused.
        """
        history = self._histories.setdefault(key, _History())
        pause = min(_MAX_WAIT_SECONDS, _WAIT_SECONDS * _WAIT_FACTOR**history.waits)
        history.waits += 1
        return pause if history.waits < _WAITS else None

    def forget(self, key: int) -> None:
        """Forget what has happened to a file that has its result."""
        self._histories.pop(key, None)
