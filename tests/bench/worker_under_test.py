"""A `moodsort run` that is watched from outside."""

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.photos import Root
from tests.bench.processes import Child, child, moodsort

POLL_SECONDS = 0.0003

_PATIENCE_SECONDS = 120.0

_READY = b"moodsort is running"


@dataclass(frozen=True, slots=True)
class Started:
    """A worker that runs, and how many seconds after its process was started things were seen."""

    child: Child
    ready_seconds: float
    filed_seconds: float


@contextmanager
def started(root: Root, first: str) -> Iterator[Started]:
    """Run a worker from before its start until the end of the block; `first` is a photo in its inbox."""
    with child(moodsort("run", "--config", root.config)) as worker:
        yield _observed(worker, root, first)


def _observed(worker: Child, root: Root, first: str) -> Started:
    ready = filed = 0.0
    descriptor = worker.output.fileno()
    printed = b""
    while not (ready and filed):
        if worker.popen.poll() is not None:
            raise worker.failed(f"ended with status {worker.popen.returncode} before it was ready")
        if select.select([descriptor], [], [], POLL_SECONDS)[0]:
            printed += os.read(descriptor, 4096)
        seconds = time.monotonic() - worker.started
        if not ready and _READY in printed:
            ready = seconds
        if not filed and root.is_filed(first):
            filed = seconds
        if seconds > _PATIENCE_SECONDS:
            raise worker.failed("was not ready, or did not file the photo in its inbox")
    return Started(worker, ready, filed)


def wait_until(is_so: Callable[[], bool], worker: Child, what: str, pause: float = POLL_SECONDS) -> float:
    """Look again and again until something is so; return when (monotonic seconds). Raises ChildFailed."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > give_up_at or worker.popen.poll() is not None:
            raise worker.failed(f"did not: {what}")
        time.sleep(pause)
    return time.monotonic()
