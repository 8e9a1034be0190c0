"""A worker to be killed: starts a pool, hands it a file, and tells the processes' ids."""

import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

from tests.integration.test_pool import SETUP, spawn_hostile
from worker.pool.pool import Pool
from worker.pool.protocol import Job

started: list[int] = []


def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
    """Start a process and keep its id."""
    popen = spawn_hostile(descriptor)
    started.append(popen.pid)
    return popen


if __name__ == "__main__":
    pool = Pool(SETUP, 2, time.monotonic(), spawn)
    while pool.room != 2:
        wait(pool.connections)
        pool.collect(time.monotonic())
    pool.submit([Job(1, Path(sys.argv[1]))], time.monotonic())
    wait(pool.connections)
    print(*started, flush=True)  # noqa: T201
    time.sleep(3600)
