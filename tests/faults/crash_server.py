"""Start workers that kill themselves, each a fork of this process, which has imported everything already.

A line of JSON on standard input asks for one: ``[config, step, passings, file_system]``. It files what is in
the inbox and dies by SIGKILL when it passes the step ("before link", "after collect", or "any") for the n-th
time; without a step it ends when all is filed. Its exit status is printed. The file system is one of
`tests.file_moves.FILE_SYSTEMS`.
"""

import importlib
import json
import os
import signal
import sys
from pathlib import Path

from tests.faults.observed_worker import open_observed_worker
from tests.file_moves import FILE_SYSTEMS
from worker.config import load_config
from worker.daemon.clock import Clock
from worker.daemon.loop import run_worker
from worker.daemon.signals import Signals
from worker.daemon.single_run import SingleRun
from worker.daemon.worker import Worker
from worker.filing import FileOperations

_LAZY_IMPORTS = ("alembic.command", "worker.store.writer", "sqlalchemy.dialects.sqlite")


class Fuse:
    """Kills this process when a step is passed for the n-th time."""

    def __init__(self, step: str, passings: int) -> None:
        self._step = step
        self._passings_left = passings

    def __call__(self, step: str) -> None:
        if self._step not in (step, "any"):
            return
        self._passings_left -= 1
        if self._passings_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def file_until_killed(config_file: Path, step: str, passings: int, file_system: str) -> None:
    operations = FileOperations(**FILE_SYSTEMS[file_system]())
    with open_observed_worker(load_config(config_file), Fuse(step, passings), operations) as worker:
        run_worker(
            worker,
            Signals(),
            Clock(),
            after_step=lambda _worker: None,
            is_done=lambda _now: not (worker.in_hand or worker.candidates or worker.is_scanning),
        )


def file_all(config_file: Path) -> None:
    workers: list[Worker] = []
    SingleRun(load_config(config_file), Signals(), observe=lambda _worker: None).run(report=workers.append)
    assert [worker.in_hand for worker in workers] == [0]


def main() -> None:
    for name in _LAZY_IMPORTS:
        importlib.import_module(name)
    for line in sys.stdin:
        config_file, step, passings, file_system = json.loads(line)
        child = os.fork()
        if child == 0:
            if step or file_system != "one":
                file_until_killed(Path(config_file), step, passings, file_system)
            else:
                file_all(Path(config_file))
            sys.exit()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
