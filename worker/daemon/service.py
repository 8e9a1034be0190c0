"""Run a worker for years: reload it, open it again after a failure that passes, and report to systemd."""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.loop import LoopEnd, finish_batch, run_worker
from worker.daemon.signals import Signals
from worker.daemon.startup import check_configuration, open_worker
from worker.daemon.worker import Worker
from worker.errors import MoodsortError, StoreError, Transient
from worker.fileio import is_exhausted
from worker.filing import Mover
from worker.ops.metrics import Observer, serve_metrics
from worker.ops.systemd.notifier import Notifier

logger = logging.getLogger(__name__)

_MAX_BACKOFF_SECONDS = 60.0

_FEEDS_PER_WATCHDOG = 3.0
"""sd_watchdog_enabled(3) advises two; a third leaves room for a single turn that takes long."""


class WorkerService:
    """A worker that outlives reloads, and failures that pass. A reload is a new worker."""

    def __init__(
        self,
        load: Callable[[], Config],
        signals: Signals,
        notifier: Notifier,
        configure_logging: Callable[[Config], None],
    ) -> None:
        """`load` reads the configuration; `configure_logging` is called with each one once it is in force."""
        self._load = load
        self._signals = signals
        self._notifier = notifier
        self._configure_logging = configure_logging
        self._clock = Clock()
        self._last_good: Config | None = None
        self._last_model = ""
        self._left: int | None = None
        self._failures = 0
        self._ready_at = -math.inf
        self._longest_pause = (notifier.watchdog_seconds or math.inf) / _FEEDS_PER_WATCHDOG

    def run(self) -> None:
        """Serve until a signal asks to stop. Raises MoodsortError where the first start fails."""
        config = self._load()
        while not self._signals.stop_asked:
            try:
                with (
                    open_worker(config, self._clock, Mover(config.root), self._is_wanted) as worker,
                    serve_metrics(config.metrics.listen, self._clock.monotonic) as observe,
                ):
                    config = self._serve(worker, config, observe)
            except MoodsortError as error:
                config = self._choose_config_after(error, config)
            except OSError as error:
                if not is_exhausted(error):
                    raise
                cause = f"the system does not give what a worker needs ({error.strerror}); free some"
                config = self._choose_config_after(Transient(cause), config)
        self._log_stop()

    def _choose_config_after(self, error: MoodsortError, config: Config) -> Config:
        """Return the configuration to go on with, after a pause; raise the error where there is none."""
        may_pass = isinstance(error, Transient | StoreError)
        # The loop ends here; the next start resumes what could not be recorded.
        if may_pass and self._signals.stop_asked:
            return config
        if self._last_good is None:
            raise error
        if config != self._last_good:
            # The reload has tried its bundle and its folders, but neither database nor metrics address.
            self._log_refusal(error)
            return self._last_good
        # Whatever it is: a service that was proven waits until a person has repaired it.
        self._back_off(error)
        return (self._signals.take_reload() and self._reload_config()) or config

    def _serve(self, worker: Worker, config: Config, observe: Observer) -> Config:
        """Serve until the worker has to end; return the configuration of the next one."""
        self._report_ready(config, str(worker.model))

        def after_step(worker: Worker) -> None:
            self._feed_watchdog(worker)
            observe(worker)

        while True:
            end = run_worker(
                worker, self._signals, self._clock, after_step, longest_pause=self._longest_pause
            )
            if end is LoopEnd.STOPPED:
                self._notifier.notify_stopping()
                finish_batch(worker, self._clock)
                self._left = None if worker.is_scanning else worker.in_hand + worker.candidates
                return config
            # Tried while the old worker still stands: where it is refused, nothing has been closed.
            if new_config := self._reload_config():
                with suppress(Transient):  # the next worker resumes what this one cannot record
                    finish_batch(worker, self._clock)
                return new_config
            # systemd waits for this after every reload, one that was refused as well.
            self._notifier.notify_ready(_describe_inbox(config))

    def _reload_config(self) -> Config | None:
        """Read the configuration and try its bundle; return None where either is unusable."""
        self._notifier.notify_reloading(int(self._clock.monotonic() * 1e6))
        try:
            config = self._load()
            check_configuration(config, self._clock, self._is_wanted)
        except MoodsortError as error:
            self._log_refusal(error)
            return None
        return config

    def _is_wanted(self) -> bool:
        """Tell whether to go on waiting for something to start; being asked is a sign of life."""
        self._notifier.feed_watchdog()
        return not self._signals.stop_asked

    def _report_ready(self, config: Config, model: str) -> None:
        self._ready_at = self._clock.monotonic()
        self._configure_logging(config)
        self._notifier.notify_ready(_describe_inbox(config))
        self._log_ready(config, model)
        self._last_good, self._last_model = config, model

    def _log_ready(self, config: Config, model: str) -> None:
        """Log the start, or what is new since the worker before."""
        fields = {"path": config.inbox_folder, "model": model}
        if self._last_good is None:
            logger.info("ready", extra={"event": "ready"} | fields)
        elif model != self._last_model:
            logger.info("now using %s", model, extra={"event": "reloaded"} | fields)
        elif config is not self._last_good:  # equal to it, perhaps, but read again
            logger.info("the configuration was read again", extra={"event": "reloaded"} | fields)
        else:
            logger.info("running again", extra={"event": "reopened"})

    def _log_stop(self) -> None:
        fields = {"event": "stopped"} if self._left is None else {"event": "stopped", "left": self._left}
        if self._left:
            logger.info("stopped; %d left in the inbox", self._left, extra=fields)
        else:
            logger.info(
                "stopped; nothing is left in the inbox" if self._left == 0 else "stopped", extra=fields
            )

    def _log_refusal(self, error: MoodsortError) -> None:
        fields = {"event": "reload_refused", "detail": str(error)}
        logger.error("reload refused; going on as before", extra=fields)

    def _feed_watchdog(self, worker: Worker) -> None:
        # A worker whose child processes have all fallen silent is to be killed and started again.
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
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        """Wait, unless a signal comes; feed the watchdog meanwhile."""
        end_at = self._clock.monotonic() + seconds
        while (
            self._is_wanted()
            and not self._signals.reload_asked
            and (pause := end_at - self._clock.monotonic()) > 0
        ):
            wait([self._signals.fileno()], timeout=min(pause, self._longest_pause))
            self._signals.clear()


def _describe_inbox(config: Config) -> str:
    return f"drop photos into {config.inbox_folder}"
