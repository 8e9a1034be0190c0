"""Keep one process to a core at work, one file in each, so that it is known which file ended one."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from trainer.evaluation.judging.messages import Limits, Outcome, Ready, Setup, Unfit, Unjudged
from worker.errors import BundleError, Reason

_START_SECONDS = 60.0
"""How long a process may take to load the bundles, on a slow disk and a busy machine."""


def judge_files(
    bundles: Sequence[Path], paths: Sequence[Path], limits: Limits | None = None
) -> Iterator[Outcome]:
    """Judge every file with every bundle, and give the outcomes in the files' order.

    Raises BundleError where a bundle cannot be loaded here.
    """
    setup = Setup(tuple(bundles), limits or Limits())
    count = max(1, min(os.cpu_count() or 1, len(paths)))
    lanes = [_Lane(setup) for _ in range(count)]
    free: SimpleQueue[_Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def judged(path: Path) -> Outcome:
        lane = free.get()
        try:
            return lane.judge(path)
        finally:
            free.put(lane)

    pool = ThreadPoolExecutor(count)
    try:
        yield from pool.map(judged, paths)
    finally:
        pool.shutdown(cancel_futures=True)
        for lane in lanes:
            lane.close()


class _Lane:
    """One process, and the next one where a file has ended it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def judge(self, path: Path) -> Outcome:
        """Judge one file. Raises BundleError where a bundle cannot be loaded."""
        connection = self._connection or self._started()
        try:
            connection.send(path)
            if connection.poll(self._setup.limits.seconds):
                found: Outcome = connection.recv()
                return found
            detail = f"it took longer than {self._setup.limits.seconds:g} seconds"
            outcome = Unjudged(path, Reason.DECODE_TIMEOUT.value, detail)
        except (EOFError, ConnectionError):
            outcome = Unjudged(path, Reason.DECODER_CRASHED.value, "it ended the process that decoded it")
        self.close()
        return outcome

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None

    def _started(self) -> Connection:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [sys.executable, "-P", "-m", "trainer.evaluation.judging.process", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
            self._connection = connection = Connection(ours.detach())
        try:
            connection.send(self._setup)
            answer = connection.recv() if connection.poll(_START_SECONDS) else None
        except (EOFError, ConnectionError):
            answer = None
        if isinstance(answer, Ready):
            return connection
        self.close()
        named = ", ".join(str(folder) for folder in self._setup.bundles)
        detail = answer.detail if isinstance(answer, Unfit) else f"{named}: the process that loads it ended"
        raise BundleError(detail)
