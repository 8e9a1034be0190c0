"""Judge many files with one bundle, in parallel, without moving or recording them."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from multiprocessing.connection import wait
from pathlib import Path

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.startup import start_pool
from worker.inference.bundle import Bundle
from worker.pool.pool import Pool
from worker.pool.protocol import Job, Outcome


def judge_files(config: Config, bundle: Bundle, paths: Sequence[Path], clock: Clock) -> Iterator[Outcome]:
    """Judge in parallel; yield an outcome for each path, in their order.

    Raises BundleError where the bundle does not pass its self-test.
    """
    processes = min(config.processes, max(1, len(paths)))
    with closing(start_pool(config, bundle, clock, processes)) as pool:
        pool.wait_ready(clock.monotonic, lambda: True)
        outcomes: dict[int, Outcome] = {}
        todo = deque(Job(key, path.absolute()) for key, path in enumerate(paths))
        for key in range(len(paths)):
            while key not in outcomes:
                _submit(pool, todo, config, clock)
                wait(pool.connections, timeout=max(0.0, pool.next_deadline() - clock.monotonic()))
                outcomes |= {each.key: each for each in pool.collect(clock.monotonic())}
            yield outcomes.pop(key)


def _submit(pool: Pool, todo: deque[Job], config: Config, clock: Clock) -> None:
    while todo and pool.room:
        share = -(-len(todo) // pool.size)
        count = min(share, config.model.batch_size)
        pool.submit([todo.popleft() for _ in range(count)], clock.monotonic())
