"""Child processes: started, watched through /proc, and always ended."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_STOP_SECONDS = 15.0

_NOT_INHERITED = ("MOODSORT_CONFIG", "MOODSORT_DATABASE_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC")

_TICKS = os.sysconf("SC_CLK_TCK")


class ChildFailed(Exception):
    """A process that was to be measured did not do its work."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started, when (monotonic seconds, just before), and what it writes."""

    popen: "subprocess.Popen[bytes]"
    started: float
    errors: IO[bytes]

    @property
    def output(self) -> IO[bytes]:
        """Its standard output."""
        assert self.popen.stdout is not None
        return self.popen.stdout

    def wait_for_end(self, seconds: float) -> tuple[float, str]:
        """Return how long it ran until its end, and what it printed. Raises ChildFailed."""
        try:
            printed, _ = self.popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise self.failed(f"did not end within {seconds:g} s") from error
        took = time.monotonic() - self.started
        if self.popen.returncode:
            raise self.failed(f"ended with status {self.popen.returncode}")
        return took, printed.decode()

    def failed(self, how: str) -> ChildFailed:
        """Make the error that tells how it failed, with the end of what it wrote."""
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").splitlines()[-10:]
        return ChildFailed("\n".join([f"{self.popen.args!r} {how}", *last]))


@contextmanager
def child(command: Sequence[str | Path], **environment: str) -> Iterator[Child]:
    """Start a process of this checkout, and end it with the block, however the block ends."""
    variables = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    with tempfile.TemporaryFile() as errors:
        started = time.monotonic()
        # A group of its own: Ctrl-C comes to us alone, and we end it.
        popen = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=variables | environment,
            process_group=0,
        )
        try:
            yield Child(popen, started, errors)
        finally:
            _end(popen)


def moodsort(*arguments: str | Path) -> list[str | Path]:
    """Return the command that runs the moodsort of this Python."""
    return [Path(sysconfig.get_path("scripts")) / "moodsort", *arguments]


def module(name: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", name, *arguments]


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for born in (task / "children").read_text().split():
            found += family(int(born))
    return found


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that processes hold: RSS counts a shared page in each of them, PSS its share in each."""

    rss: int
    pss: int


def memory_of(pids: Sequence[int]) -> Memory:
    """Sum up the memory of processes, from /proc/PID/smaps_rollup."""
    rss = pss = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, kibibytes, _ = line.split()
            rss += 1024 * int(kibibytes) if name == "Rss:" else 0
            pss += 1024 * int(kibibytes) if name == "Pss:" else 0
    return Memory(rss, pss)


def cpu_seconds_of(pids: Sequence[int]) -> float:
    """Sum up the time that processes have spent on a core, in user and in system mode (proc_pid_stat(5))."""
    ticks = 0
    for pid in pids:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / _TICKS


def _end(popen: "subprocess.Popen[bytes]") -> None:
    """End a process; the classifier processes of a worker end when it does."""
    if popen.poll() is None:
        popen.terminate()
        try:
            popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
    if popen.stdout is not None:
        popen.stdout.close()
