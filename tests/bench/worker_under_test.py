"""A `moodsort run`, observed from outside."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.photos import Root
from tests.bench.processes import Child, make_moodsort_command, run_child

POLL_SECONDS = 0.0003

_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class StartedWorker:
    """A running worker, and the seconds from before its start until it was ready and a photo was filed."""

    child: Child
    ready_seconds: float
    filed_seconds: float


@contextmanager
def run_worker(root: Root, first: str) -> Iterator[StartedWorker]:
    """Run a worker until the context ends; `first` is the name of a photo that waits in its inbox."""
    with run_child(make_moodsort_command("run", "--config", root.config)) as child:
        yield _observe_start(child, root, first)


def _observe_start(child: Child, root: Root, first: str) -> StartedWorker:
    ready = filed = 0.0
    while not (ready and filed):
        if child.popen.poll() is not None:
            raise child.describe_failure(f"ended with status {child.popen.returncode} before it was ready")
        time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - child.started_at
        if not ready and child.read_events("ready"):
            ready = seconds
        if not filed and root.is_filed(first):
            filed = seconds
        if seconds > _PATIENCE_SECONDS:
            raise child.describe_failure("was not ready, or did not file the photo in its inbox")
    return StartedWorker(child, ready, filed)


def wait_until(
    condition: Callable[[], bool], child: Child, action: str, pause: float = POLL_SECONDS
) -> float:
    """Poll the condition until it holds; return when (monotonic seconds). Raises ChildFailed."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > give_up_at or child.popen.poll() is not None:
            raise child.describe_failure(f"did not {action}")
        time.sleep(pause)
    return time.monotonic()
