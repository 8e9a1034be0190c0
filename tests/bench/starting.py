"""How soon a worker is there, and what it takes while it has nothing to do."""

import time
from pathlib import Path

from tests.bench.figures import Figure, Goal, median_of
from tests.bench.photos import Root, copy_photos, let_settle
from tests.bench.processes import cpu_seconds_of, family, memory_of
from tests.bench.worker_under_test import Started, started, wait_until

_READY_SECONDS = Goal(1.0)
_MEGABYTES = Goal(250.0)
_IDLE_PERCENT = Goal(0.5)

_PROCESSES = 2
_PHOTOS_BEFORE_MEMORY = 50
_QUIET_SECONDS = 3.0
"""How long a worker is left alone before it counts as idle."""


def start_figures(photos: list[Path], scratch: Path, starts: int) -> list[Figure]:
    """Start workers with no database, and one again and again with the database that it has."""
    fresh = [_start(Root.made(scratch / f"fresh-{index}"), photos) for index in range(starts)]
    root = Root.made(scratch / "existing")
    _start(root, photos, _PHOTOS_BEFORE_MEMORY)
    existing = [_start(root, photos, name=f"start-{index}") for index in range(starts)]
    return _figures("no database", fresh) + _figures("existing database", existing)


def rest_figures(photos: list[Path], scratch: Path, idle_seconds: float) -> list[Figure]:
    """Let two classifier processes judge photos, then see what they hold and do at rest."""
    root = Root.made(scratch / "rest", processes=_PROCESSES)
    (first, *_) = copy_photos(photos, root.inbox, _PHOTOS_BEFORE_MEMORY)
    let_settle()
    with started(root, first) as worker:
        process = worker.child
        wait_until(root.is_empty, process, "file every photo", pause=0.05)
        time.sleep(_QUIET_SECONDS)
        pids = family(process.popen.pid)
        if len(pids) != 1 + _PROCESSES:
            raise process.failed(f"has {len(pids) - 1} classifier processes, not {_PROCESSES}")
        memory = memory_of(pids)
        before, at = cpu_seconds_of(pids), time.monotonic()
        time.sleep(idle_seconds)
        percent = 100 * (cpu_seconds_of(pids) - before) / (time.monotonic() - at)
    how = f"sum of worker and {_PROCESSES} classifier processes after {_PHOTOS_BEFORE_MEMORY} photos"
    spent = f"CPU time of all processes in /proc over {idle_seconds:g} s, empty inbox"
    return [
        Figure(
            "rest",
            "memory, RSS",
            memory.rss / 1e6,
            "MB",
            f"{how}; shared pages count each time",
            (),
            _MEGABYTES,
        ),
        Figure(
            "rest", "memory, PSS", memory.pss / 1e6, "MB", f"{how}; shared pages count once", (), _MEGABYTES
        ),
        Figure("rest", "idle", percent, "% of a core", spent, (), _IDLE_PERCENT),
    ]


def _start(root: Root, photos: list[Path], count: int = 1, name: str = "photo") -> Started:
    first = copy_photos(photos, root.inbox, count, name)[-1]
    let_settle()
    with started(root, first) as worker:
        wait_until(root.is_empty, worker.child, "file every photo", pause=0.05)
        return worker


def _figures(database: str, found: list[Started]) -> list[Figure]:
    ready = [each.ready_seconds for each in found]
    filed = [each.filed_seconds for each in found]
    how = f"median of {len(found)} starts, from before the process starts until"
    return [
        median_of("start", f"ready, {database}", ready, "s", f"{how} its line", _READY_SECONDS),
        median_of("start", f"first photo, {database}", filed, "s", f"{how} a waiting photo is filed"),
    ]
