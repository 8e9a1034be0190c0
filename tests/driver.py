"""A whole worker in this process, stepped by the test, with a clock that the test puts forward."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import wait

from tests.home import LONG_SECONDS, Home
from worker.config import load_config
from worker.daemon.clock import Clock
from worker.daemon.startup import open_worker
from worker.daemon.worker import Worker
from worker.filing import FileOperations, Mover


class MovableClock:
    """The time, plus the seconds by which the test has put it forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.clock = Clock(lambda: time.monotonic() + self.ahead, lambda: time.time() + self.ahead)


class WorkerDriver:
    """A worker that makes no step by itself, and its clock."""

    def __init__(self, worker: Worker, time_: MovableClock) -> None:
        self.worker = worker
        self.time = time_

    def step_until(self, condition: Callable[[], object]) -> None:
        """Step the worker until the condition holds after a step."""
        give_up_at = time.monotonic() + LONG_SECONDS
        while True:
            self.worker.step(self.time.clock.monotonic())
            if condition():
                return
            assert time.monotonic() < give_up_at, "what was waited for did not come"
            wait(self.worker.connections, timeout=0.02)

    def step_until_idle(self) -> None:
        """Step the worker until nothing is being predicted, moved or recorded."""
        self.step_until(lambda: not self.worker.has_batch_in_hand)


@contextmanager
def open_driver(home: Home, operations: FileOperations | None = None) -> Iterator[WorkerDriver]:
    """Open a worker as `moodsort run` does; `operations` replace its calls to the file system."""
    time_ = MovableClock()
    config = load_config(home.config)
    opening = open_worker(config, time_.clock, Mover(config.root, operations), lambda: True)
    with drive(opening, time_) as driver:
        yield driver


@contextmanager
def drive(opening: AbstractContextManager[Worker], time_: MovableClock) -> Iterator[WorkerDriver]:
    """Drive a worker that is opened in some other way."""
    with opening as worker:
        yield WorkerDriver(worker, time_)
