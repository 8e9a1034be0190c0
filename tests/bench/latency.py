"""How long it takes to file a photo that comes while the worker has nothing else to do."""

import random
import time
from pathlib import Path

from tests.bench.metrics import Goal, Metric, make_median, quantile
from tests.bench.photos import Root, copy_photos, wait_settled
from tests.bench.processes import Child
from tests.bench.worker_under_test import POLL_SECONDS, run_worker, wait_until

_MEDIAN_MILLISECONDS = Goal(100.0)

_PAUSE_SECONDS = (0.2, 0.4)
"""Random between these, so that photos do not fall in step with what the worker does by the clock."""


def measure_latency(photos: list[Path], scratch: Path, count: int) -> list[Metric]:
    """Write photos into the inbox one by one, each after the one before was filed and a pause."""
    root = Root.make(scratch / "latency")
    first = copy_photos(photos, root.inbox, 1)[0]
    wait_settled()
    with run_worker(root, first) as worker:
        pauses = random.Random(0)
        time.sleep(1.0)  # until the other child processes are ready
        samples = []
        for index in range(count):
            time.sleep(pauses.uniform(*_PAUSE_SECONDS))
            photo = photos[index % len(photos)]
            samples.append(1000 * _measure_filing(photo, f"single-{index:05}", root, worker.child))
    how = f"of {count} photos one by one, from close until filed, polled every {1000 * POLL_SECONDS:g} ms"
    return [
        make_median("latency", "median", samples, "ms", f"median {how}", _MEDIAN_MILLISECONDS),
        Metric("latency", "95th percentile", quantile(samples, 0.95), "ms", f"nearest rank {how}"),
        Metric("latency", "longest", max(samples), "ms", f"longest {how}"),
    ]


def _measure_filing(photo: Path, stem: str, root: Root, worker: Child) -> float:
    """Write a copy into the inbox; return the time from its close until it is in another folder."""
    name = stem + photo.suffix.lower()
    data = photo.read_bytes()
    with (root.inbox / name).open("wb") as file:
        file.write(data)
        file.flush()
        closed_at = time.monotonic()
    return wait_until(lambda: root.is_filed(name), worker, f"file {name}") - closed_at
