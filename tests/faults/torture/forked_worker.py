"""Workers that are forks of this process, which has imported everything already, and so are their children.

They differ from `moodsort run` in how they start alone: a start takes a tenth of the time.
"""

import ctypes  # noqa: F401  loaded before the fork, as all below
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.observed_worker import open_observed_worker
from tests.faults.torture.fate import Fate, Target
from tests.file_moves import FILE_SYSTEMS
from worker.config import load_config
from worker.daemon.clock import Clock
from worker.daemon.loop import run_worker
from worker.daemon.signals import Signals
from worker.daemon.worker import Worker
from worker.filing import FileOperations
from worker.ops.logging import configure_logging
from worker.pool import process

_LAZY_IMPORTS = (
    *(
        "alembic.command",
        "worker.store.writer",
        "sqlalchemy.dialects.sqlite",
        "sqlalchemy.dialects.postgresql",
    ),
    *("psycopg", "worker.inference.predictor", "worker.inference.decode", "worker.pool.prediction_task"),
)
_FAILED = 70


def import_all() -> None:
    """Import what workers and their children import when they need it."""
    for name in _LAZY_IMPORTS:
        importlib.import_module(name)


class ForkedProcess:
    """A forked child, with as much of `subprocess.Popen` as a pool needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit status once it has ended."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, for as long as that takes: it is killed before."""
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def fork(run: Callable[[], object]) -> ForkedProcess:
    """Run a function in a child that ends with it."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return ForkedProcess(pid)
    status = _FAILED
    try:
        run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def spawn_fork(descriptor: int) -> Any:
    """Start a child process that decodes, as `spawn_process` does."""

    def serve() -> None:
        os.setpgid(0, 0)
        # Above all the locks of the worker, which hold while any process has them open.
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, 4096)
        sys.argv = [sys.argv[0], str(descriptor)]
        process.main()

    return fork(serve)


class Executioner:
    """Kills when a step is passed for the n-th time."""

    def __init__(self, fate: Fate, children: list[ForkedProcess], report_kill: int) -> None:
        """`report_kill` is a descriptor that takes a byte when children alone are killed."""
        self._fate = fate
        self._passings_left = fate.passings
        self._children = children
        self._report_kill = report_kill

    def __call__(self, step: str) -> None:
        if self._fate.step not in (step, "any"):
            return
        self._passings_left -= 1
        if self._passings_left == 0:
            self._kill()

    def _kill(self) -> None:
        if self._fate.target is not Target.PARENT:
            for child in self._children:
                child.kill()
        if self._fate.target is Target.CHILDREN:
            os.write(self._report_kill, b"\0")
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def start_worker(
    config_file: Path, fate: Fate, file_system: str, log: Path, report_kill: int
) -> ForkedProcess:
    """Start a worker that runs until it is killed."""

    def run() -> None:
        os.setpgid(0, 0)
        children: list[ForkedProcess] = []

        def spawn(descriptor: int) -> Any:
            child = spawn_fork(descriptor)
            children.append(child)
            return child

        _log_to(log)
        operations = FileOperations(**FILE_SYSTEMS[file_system]())
        report = Executioner(fate, children, report_kill)
        with (
            Signals().install() as signals,
            open_observed_worker(load_config(config_file), report, operations, spawn=spawn) as worker,
        ):
            run_worker(worker, signals, Clock(), after_step=lambda _: None)

    return fork(run)


def drain(config_file: Path, file_system: str, log: Path) -> ForkedProcess:
    """Start a worker that ends when the inbox is empty."""

    def run() -> None:
        _log_to(log)
        operations = FileOperations(**FILE_SYSTEMS[file_system]())

        def is_done(worker: Worker) -> bool:
            return not worker.in_hand and not worker.candidates

        with open_observed_worker(
            load_config(config_file), lambda _: None, operations, spawn=spawn_fork
        ) as worker:
            run_worker(worker, Signals(), Clock(), lambda _: None, is_done=lambda _: is_done(worker))

    return fork(run)


def _log_to(log: Path) -> None:
    stream = log.open("a", encoding="utf-8", buffering=1)
    os.dup2(stream.fileno(), 2)
    configure_logging("info", "json", stream)
