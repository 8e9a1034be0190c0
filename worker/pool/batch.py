"""Run one task on many files in parallel, or only check that it can be loaded."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from multiprocessing.connection import wait
from pathlib import Path

from worker.config import Limits
from worker.pool.jail import Jail
from worker.pool.pool import Pool, compute_share
from worker.pool.protocol import Job, JobResult, Setup, T, Task


def run_batch(
    task: Task[T], paths: Sequence[Path], limits: Limits, processes: int, batch_size: int = 32
) -> Iterator[JobResult[T]]:
    """Run the task on every file in parallel; yield a result for each path, in their order.

    Raises BundleError where the task cannot be loaded.
    """
    size = min(processes, max(1, len(paths)))  # more would be started for nothing
    with closing(Pool(Setup(task, limits), size, time.monotonic())) as pool:
        pool.wait_ready(time.monotonic, lambda: True)
        results: dict[int, JobResult[T]] = {}
        jobs = deque(Job(key, path.absolute()) for key, path in enumerate(paths))
        for key in range(len(paths)):
            while key not in results:
                _submit(pool, jobs, batch_size)
                # No longer than until a silent process counts as hung, for `collect` to replace it.
                wait(pool.connections, timeout=max(0.0, pool.next_deadline() - time.monotonic()))
                results |= {result.key: result for result in pool.collect(time.monotonic())}
            yield results.pop(key)


def check_task(
    task: Task[T],
    limits: Limits,
    now: Callable[[], float] = time.monotonic,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Jail:
    """Load a task in a child process, under its limits, and return which of its restrictions hold there.

    Gives up once `is_wanted` is false: then none are known.
    In a child process, because a processor that LiteRT was not built for kills it. Raises BundleError.
    """
    with closing(Pool(Setup(task, limits), 1, now())) as pool:
        pool.wait_ready(now, is_wanted)
        return pool.jail


def _submit(pool: Pool[T], jobs: deque[Job], batch_size: int) -> None:
    while jobs and pool.room:
        count = min(len(jobs), compute_share(len(jobs), pool.size, batch_size))
        pool.submit([jobs.popleft() for _ in range(count)], time.monotonic())
