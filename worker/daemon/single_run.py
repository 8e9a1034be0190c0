"""Run a worker until the inbox is empty."""

import math
from collections.abc import Callable

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.loop import LoopEnd, finish_batch, run_worker
from worker.daemon.signals import Signals
from worker.daemon.startup import open_worker
from worker.daemon.worker import Worker
from worker.filing import Mover


class SingleRun:
    """A worker that files what is in the inbox, and ends."""

    def __init__(self, config: Config, signals: Signals, observe: Callable[[Worker], None]) -> None:
        """`observe` is called with the worker after each step."""
        self._config = config
        self._signals = signals
        self._observe = observe
        self._clock = Clock()
        self._last_candidates = -1
        self._give_up_at = math.inf

    def run(self, report: Callable[[Worker], None]) -> None:
        """File what is there, and call `report` with the worker at the end. Raises MoodsortError."""
        with open_worker(self._config, self._clock, Mover(self._config.root), self._is_wanted) as worker:
            end = LoopEnd.RELOAD
            while end is LoopEnd.RELOAD:  # reading the configuration again is not worth it for what ends soon
                end = run_worker(
                    worker,
                    self._signals,
                    self._clock,
                    self._observe,
                    is_done=lambda now: self._is_done(worker, now),
                )
            finish_batch(worker, self._clock)
            report(worker)

    def _is_wanted(self) -> bool:
        return not self._signals.stop_asked

    def _is_done(self, worker: Worker, now: float) -> bool:
        """Tell whether everything is filed, or no candidate has settled in twice the time that it takes."""
        if worker.in_hand:
            # Equal to no count, so that the time to settle starts anew when nothing is in hand any more.
            self._last_candidates = -1
            return worker.is_stuck
        if worker.is_scanning:
            return False
        if worker.candidates != self._last_candidates:
            self._last_candidates = worker.candidates
            self._give_up_at = now + 2 * self._config.inbox.settle_seconds
        return worker.candidates == 0 or now >= self._give_up_at
