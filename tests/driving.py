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


class Later:
    """The time, and however much the test has put it forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.clock = Clock(lambda: time.monotonic() + self.ahead, lambda: time.time() + self.ahead)


class Driven:
    """A worker and the test's hand on it."""

    def __init__(self, worker: Worker, time_: Later) -> None:
        self.worker = worker
        self.time = time_

    def until(self, condition: Callable[[], object]) -> None:
        """Step the worker until the condition holds after a step."""
        end = time.monotonic() + LONG_SECONDS
        while True:
            self.worker.step(self.time.clock.monotonic())
            if condition():
                return
            assert time.monotonic() < end, "what was waited for did not come"
            wait(self.worker.connections, timeout=0.02)

    def until_idle(self) -> None:
        """Step the worker until nothing is being judged, moved or recorded."""
        self.until(lambda: not self.worker.has_batch_in_hand)


@contextmanager
def driven(home: Home, do: FileOperations | None = None) -> Iterator[Driven]:
    """Open a worker on the home as `moodsort run` does; `do` are its file operations."""
    later = Later()
    with drive(open_worker(load_config(home.config), later.clock, Mover(do), lambda: True), later) as hand:
        yield hand


@contextmanager
def drive(opening: AbstractContextManager[Worker], later: Later) -> Iterator[Driven]:
    """Take a worker that is opened some other way in hand."""
    with opening as worker:
        yield Driven(worker, later)
