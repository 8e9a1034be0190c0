"""Run a worker: for years, or until the inbox is empty."""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from multiprocessing.connection import wait

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.signals import Signals
from worker.daemon.startup import check_configuration, open_worker
from worker.daemon.worker import Worker
from worker.errors import MoodsortError, StoreError, Transient
from worker.filing import Mover
from worker.ops.metrics import Observe, serve_metrics
from worker.ops.systemd.notifier import Notifier

logger = logging.getLogger(__name__)

FINISH_SECONDS = 4.0
"""How long the batch in hand may take after a stop is asked for; the next start sees to what is left."""

_MAX_BACKOFF_SECONDS = 60.0

_FEEDS_PER_WATCHDOG = 3.0
"""sd_watchdog_enabled(3) advises two; a third leaves room for one turn that takes its time."""


class LoopEnd(Enum):
    """Why a worker's loop came back."""

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
    """Step a worker until a signal comes or `is_done(now)` holds; wait for news in between."""
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
        pause = min(worker.next_due() - clock.monotonic(), longest_pause)
        if pause > 0:
            wait([*worker.connections, signals.fileno()], timeout=None if math.isinf(pause) else pause)
            signals.clear()


def finish(worker: Worker, clock: Clock) -> None:
    """Bring the batch in hand to its end, or give up on it after FINISH_SECONDS."""
    until = clock.monotonic() + FINISH_SECONDS
    worker.drain()
    while worker.has_batch_in_hand and (left := until - clock.monotonic()) > 0:
        worker.step(clock.monotonic())
        pause = min(worker.next_due() - clock.monotonic(), left)
        if worker.has_batch_in_hand and pause > 0:
            wait(worker.connections, timeout=pause)


class WorkerService:
    """A worker that reloads, that opens itself again after a fault that passes, and that tells systemd."""

    def __init__(
        self,
        load: Callable[[], Config],
        signals: Signals,
        notifier: Notifier,
        announce: Callable[[Config], None],
    ) -> None:
        """`load` reads the configuration; `announce` is told which one is served from now on."""
        self._load = load
        self._signals = signals
        self._notifier = notifier
        self._announce = announce
        self._clock = Clock()
        self._failures = 0
        self._ready_at = -math.inf
        self._longest_pause = (notifier.watchdog_seconds or math.inf) / _FEEDS_PER_WATCHDOG

    def run(self) -> None:
        """Serve until a signal asks to stop. Raises MoodsortError where the first start fails."""
        config = self._load()
        proven: Config | None = None
        while not self._signals.stop_asked:
            try:
                with (
                    open_worker(config, self._clock, Mover(), self._is_wanted) as worker,
                    serve_metrics(config.metrics.listen, self._clock.monotonic) as observe,
                ):
                    proven = config
                    config = self._serve(worker, config, observe)
            except MoodsortError as error:
                config = self._after_failure(error, config, proven)

    def _after_failure(self, error: MoodsortError, config: Config, proven: Config | None) -> Config:
        """Return the configuration to go on with; raise the error where there is none."""
        passes = isinstance(error, Transient | StoreError)
        if passes and self._signals.stop_asked:
            return config
        if proven is None:
            raise error
        if config != proven:
            self._log_refusal(error)
            return proven
        if not passes:
            raise error
        self._back_off(error)
        return (self._signals.take_reload() and self._fresh_config()) or config

    def _serve(self, worker: Worker, config: Config, observe: Observe) -> Config:
        """Serve until the worker has to end; return the configuration of the next one."""
        self._announce_ready(config)

        def after_step(worker: Worker) -> None:
            self._feed_watchdog(worker)
            observe(worker)

        while True:
            end = run_worker(
                worker, self._signals, self._clock, after_step, longest_pause=self._longest_pause
            )
            if end is LoopEnd.STOPPED:
                self._notifier.notify_stopping()
                finish(worker, self._clock)
                return config
            if fresh := self._fresh_config():
                with suppress(Transient):  # the next worker takes up what this one cannot record
                    finish(worker, self._clock)
                return fresh
            self._notifier.notify_ready(_describe_inbox(config))

    def _fresh_config(self) -> Config | None:
        """Read the configuration and try its bundle; None where either is not usable."""
        self._notifier.notify_reloading(int(self._clock.monotonic() * 1e6))
        try:
            fresh = self._load()
            check_configuration(fresh, self._clock, self._is_wanted)
        except MoodsortError as error:
            self._log_refusal(error)
            return None
        return fresh

    def _is_wanted(self) -> bool:
        """Tell whether to go on waiting for something to start; being asked is a sign of life."""
        self._notifier.feed_watchdog()
        return not self._signals.stop_asked

    def _announce_ready(self, config: Config) -> None:
        self._ready_at = self._clock.monotonic()
        self._announce(config)
        self._notifier.notify_ready(_describe_inbox(config))
        logger.info("ready", extra={"event": "ready", "path": config.inbox_folder})

    def _log_refusal(self, error: MoodsortError) -> None:
        fields = {"event": "reload_refused", "detail": str(error)}
        logger.error("reload refused; going on as before", extra=fields)

    def _feed_watchdog(self, worker: Worker) -> None:
        if not worker.is_stalled(self._clock.monotonic()):
            self._notifier.feed_watchdog()

    def _back_off(self, error: MoodsortError) -> None:
        if self._clock.monotonic() - self._ready_at > _MAX_BACKOFF_SECONDS:
            self._failures = 0  # the worker has served for a while since the last one
        seconds = min(_MAX_BACKOFF_SECONDS, 2.0**self._failures)
        self._failures += 1
        fields = {"event": "backing_off", "detail": str(error), "seconds": seconds}
        logger.warning("trying again soon", extra=fields)
        self._notifier.notify_status(f"waiting: {error}")
        until = self._clock.monotonic() + seconds
        while (
            self._is_wanted()
            and not self._signals.reload_asked
            and (left := until - self._clock.monotonic()) > 0
        ):
            self._notifier.feed_watchdog()
            wait([self._signals.fileno()], timeout=min(left, self._longest_pause))
            self._signals.clear()


class SingleRun:
    """A worker that files what is in the inbox, and ends."""

    def __init__(self, config: Config, signals: Signals, observe: Callable[[Worker], None]) -> None:
        """`observe` is shown the worker after each step."""
        self._config = config
        self._signals = signals
        self._observe = observe
        self._clock = Clock()
        self._seen = -1
        self._give_up_at = math.inf

    def run(self, report: Callable[[Worker], None]) -> None:
        """File what is there and show the worker to `report` at the end. Raises MoodsortError."""
        with open_worker(self._config, self._clock, Mover(), self._is_wanted) as worker:
            end = LoopEnd.RELOAD
            while end is LoopEnd.RELOAD:  # there is nothing to read again for what ends so soon
                end = run_worker(
                    worker,
                    self._signals,
                    self._clock,
                    self._observe,
                    is_done=lambda now: self._is_done(worker, now),
                )
            finish(worker, self._clock)
            report(worker)

    def _is_wanted(self) -> bool:
        return not self._signals.stop_asked

    def _is_done(self, worker: Worker, now: float) -> bool:
        """Tell whether all is filed, or nothing has moved for as long as a file takes to settle twice."""
        if worker.in_hand:
            self._seen = -1
            return worker.is_stuck
        if worker.candidates != self._seen:
            self._seen = worker.candidates
            self._give_up_at = now + 2 * self._config.inbox.settle_seconds
        return worker.candidates == 0 or now >= self._give_up_at


def _describe_inbox(config: Config) -> str:
    return f"drop photos into {config.inbox_folder}"
