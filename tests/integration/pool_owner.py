"""A parent to be killed: start a pool, submit a file, and print the ids of the child processes."""

import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

from tests.integration.child_tasks import HostileTask
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.pool.pool import Pool
from worker.pool.protocol import Job, Setup
from worker.pool.spawn import spawn_process

process_ids: list[int] = []


def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
    """Start a child process and remember its id."""
    popen = spawn_process(descriptor)
    process_ids.append(popen.pid)
    return popen


if __name__ == "__main__":
    setup = Setup(HostileTask(BUILT_IN_BUNDLE), Limits(decode_seconds=1.0))
    pool = Pool(setup, 2, time.monotonic(), spawn)
    while pool.room != 2:
        wait(pool.connections)
        pool.collect(time.monotonic())
    pool.submit([Job(1, Path(sys.argv[1]))], time.monotonic())
    wait(pool.connections)
    print(*process_ids, flush=True)  # noqa: T201
    time.sleep(3600)
