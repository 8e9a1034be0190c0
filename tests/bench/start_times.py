"""How soon a worker is ready, and what it takes while it has nothing to do."""

import time
from pathlib import Path

from tests.bench.metrics import Goal, Metric, make_median
from tests.bench.photos import Root, copy_photos, wait_settled
from tests.bench.processes import list_family, measure_cpu_seconds, measure_memory
from tests.bench.worker_under_test import StartedWorker, run_worker, wait_until

_READY_SECONDS = Goal(1.0)
_MEGABYTES = Goal(250.0)
_IDLE_PERCENT = Goal(0.5)

_PROCESSES = 2
_PHOTOS_BEFORE_MEMORY = 50
_QUIET_SECONDS = 3.0
"""How long a worker is left alone before it counts as idle."""


def measure_start(photos: list[Path], scratch: Path, starts: int) -> list[Metric]:
    """Start workers without a database, and one again and again with its database."""
    fresh = [_start(Root.make(scratch / f"fresh-{index}"), photos) for index in range(starts)]
    root = Root.make(scratch / "existing")
    _start(root, photos, _PHOTOS_BEFORE_MEMORY)
    existing = [_start(root, photos, name=f"start-{index}") for index in range(starts)]
    return _make_metrics("no database", fresh) + _make_metrics("existing database", existing)


def measure_rest(photos: list[Path], scratch: Path, idle_seconds: float) -> list[Metric]:
    """Let two child processes classify photos, then measure what they hold and do at rest."""
    root = Root.make(scratch / "rest", processes=_PROCESSES)
    (first, *_) = copy_photos(photos, root.inbox, _PHOTOS_BEFORE_MEMORY)
    wait_settled()
    with run_worker(root, first) as worker:
        wait_until(root.is_empty, worker.child, "file every photo", pause=0.05)
        time.sleep(_QUIET_SECONDS)
        pids = list_family(worker.child.popen.pid)
        if len(pids) != 1 + _PROCESSES:
            raise worker.child.describe_failure(f"has {len(pids) - 1} child processes, not {_PROCESSES}")
        memory = measure_memory(pids)
        cpu_seconds, start = measure_cpu_seconds(pids), time.monotonic()
        time.sleep(idle_seconds)
        percent = 100 * (measure_cpu_seconds(pids) - cpu_seconds) / (time.monotonic() - start)
    memory_how = f"sum of worker and {_PROCESSES} child processes after {_PHOTOS_BEFORE_MEMORY} photos"
    idle_how = f"CPU time of all processes in /proc over {idle_seconds:g} s, empty inbox"
    return [
        Metric(
            "rest",
            "memory, RSS",
            memory.rss / 1e6,
            "MB",
            f"{memory_how}; shared pages count each time",
            (),
            _MEGABYTES,
        ),
        Metric(
            "rest",
            "memory, PSS",
            memory.pss / 1e6,
            "MB",
            f"{memory_how}; shared pages count once",
            (),
            _MEGABYTES,
        ),
        Metric("rest", "idle", percent, "% of a core", idle_how, (), _IDLE_PERCENT),
    ]


def _start(root: Root, photos: list[Path], count: int = 1, name: str = "photo") -> StartedWorker:
    first = copy_photos(photos, root.inbox, count, name)[-1]
    wait_settled()
    with run_worker(root, first) as worker:
        wait_until(root.is_empty, worker.child, "file every photo", pause=0.05)
        return worker


def _make_metrics(database: str, starts: list[StartedWorker]) -> list[Metric]:
    ready = [start.ready_seconds for start in starts]
    filed = [start.filed_seconds for start in starts]
    how = f"median of {len(starts)} starts, from before the process starts until"
    return [
        make_median("start", f"ready, {database}", ready, "s", f"{how} its line", _READY_SECONDS),
        make_median("start", f"first photo, {database}", filed, "s", f"{how} a waiting photo is filed"),
    ]
