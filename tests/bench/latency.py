"""How long a photo lies in the inbox of a worker that has nothing else to do."""

import random
import time
from pathlib import Path

from tests.bench.figures import Figure, Goal, median_of, quantile
from tests.bench.photos import Root, copy_photos, let_settle
from tests.bench.processes import Child
from tests.bench.worker_under_test import POLL_SECONDS, started, wait_until

_MEDIAN_MILLISECONDS = Goal(100.0)

_PAUSE_SECONDS = (0.2, 0.4)
"""Drawn from between these, so that photos do not fall in step with anything that the worker does on time."""


def latency_figures(photos: list[Path], scratch: Path, count: int) -> list[Figure]:
    """Write photos into the inbox one by one, each after the one before was filed and a pause."""
    root = Root.made(scratch / "latency")
    first = copy_photos(photos, root.inbox, 1)[0]
    let_settle()
    with started(root, first) as worker:
        pauses = random.Random(0)
        time.sleep(1.0)  # until the other classifier processes are there
        samples = []
        for index in range(count):
            time.sleep(pauses.uniform(*_PAUSE_SECONDS))
            photo = photos[index % len(photos)]
            samples.append(1000 * _seconds_to_file(photo, f"single-{index:05}", root, worker.child))
    how = f"of {count} photos one by one, from close until filed, looked at every {1000 * POLL_SECONDS:g} ms"
    return [
        median_of("latency", "median", samples, "ms", f"median {how}", _MEDIAN_MILLISECONDS),
        Figure("latency", "95th percentile", quantile(samples, 0.95), "ms", f"nearest rank {how}"),
        Figure("latency", "longest", max(samples), "ms", f"longest {how}"),
    ]


def _seconds_to_file(photo: Path, stem: str, root: Root, worker: Child) -> float:
    """Write a copy into the inbox; return the time from its close until it is in another folder."""
    name = stem + photo.suffix.lower()
    data = photo.read_bytes()
    with (root.inbox / name).open("wb") as file:
        file.write(data)
        file.flush()
        closed = time.monotonic()
    return wait_until(lambda: root.is_filed(name), worker, f"file {name}") - closed
