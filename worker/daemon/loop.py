"""Step a worker again and again, and sleep on descriptors in between."""

import math
from collections.abc import Callable
from enum import Enum
from multiprocessing.connection import wait

from worker.daemon.clock import Clock
from worker.daemon.signals import Signals
from worker.daemon.worker import Worker

FINISH_SECONDS = 4.0
"""How long the batch in hand may take after a stop is asked for; the next start resumes what is left."""


class LoopEnd(Enum):
    """Why `run_worker` has returned."""

    STOPPED = "stopped"
    RELOAD = "reload"
    DONE = "done"


def run_worker(
    worker: Worker,
    signals: Signals,
    clock: Clock,
    after_step: Callable[[Worker], None],
    is_done: Callable[[float], bool] = lambda _now: False,
    longest_pause: float = math.inf,
) -> LoopEnd:
    """Step a worker until a signal comes or `is_done(now)` holds; wait for news in between.

    `after_step` is called with the worker after each step, at the latest every `longest_pause` seconds.
    """
    while True:
        now = clock.monotonic()
        worker.step(now)
        after_step(worker)
        if signals.stop_asked:
            return LoopEnd.STOPPED
        if signals.take_reload():
            return LoopEnd.RELOAD
        if is_done(now):
            return LoopEnd.DONE
        pause = min(worker.compute_next_due() - clock.monotonic(), longest_pause)
        if pause > 0:
            wait([*worker.connections, signals.fileno()], timeout=None if math.isinf(pause) else pause)
            # Before the next turn reads the flags: a signal that comes later wakes the loop again.
            signals.clear()


def finish_batch(worker: Worker, clock: Clock) -> None:
    """Bring the batch in hand to its end, or give up on it after FINISH_SECONDS."""
    give_up_at = clock.monotonic() + FINISH_SECONDS
    worker.drain()
    while worker.has_batch_in_hand and (seconds := give_up_at - clock.monotonic()) > 0:
        worker.step(clock.monotonic())
        pause = min(worker.compute_next_due() - clock.monotonic(), seconds)
        if worker.has_batch_in_hand and pause > 0:
            # Not on signals: their descriptor stays readable after a stop, and each wait would end at once.
            wait(worker.connections, timeout=pause)
