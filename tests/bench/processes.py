"""Child processes: start them, watch them through /proc, and always end them."""

import json
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
from typing import IO, Any

_STOP_SECONDS = 15.0

_NOT_INHERITED = ("MOODSORT_CONFIG", "MOODSORT_DATABASE_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC")

_TICKS = os.sysconf("SC_CLK_TCK")


class ChildFailed(Exception):
    """A process that was to be measured did not do its work."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process, when it was started (monotonic seconds, just before), and what it writes."""

    popen: "subprocess.Popen[bytes]"
    started_at: float
    errors: IO[bytes]

    def read_events(self, event: str) -> list[dict[str, Any]]:
        """Return the lines about one kind of event that a worker has logged."""
        # By pread(), which leaves the child, who shares the descriptor, its place to write.
        log = os.pread(self.errors.fileno(), os.fstat(self.errors.fileno()).st_size, 0)
        *lines, _unfinished = log.split(b"\n")
        return [fields for line in lines if (fields := json.loads(line)).get("event") == event]

    def wait_for_end(self, seconds: float) -> tuple[float, str]:
        """Return how long it ran until its end, and what it printed. Raises ChildFailed."""
        try:
            output, _ = self.popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise self.describe_failure(f"did not end within {seconds:g} s") from error
        seconds_run = time.monotonic() - self.started_at
        if self.popen.returncode:
            raise self.describe_failure(f"ended with status {self.popen.returncode}")
        return seconds_run, output.decode()

    def describe_failure(self, sentence: str) -> ChildFailed:
        """Make the error that says how it failed, with the end of what it wrote."""
        self.errors.seek(0)
        last_lines = self.errors.read().decode(errors="replace").splitlines()[-10:]
        return ChildFailed("\n".join([f"{self.popen.args!r} {sentence}", *last_lines]))


@contextmanager
def run_child(command: Sequence[str | Path], **environment: str) -> Iterator[Child]:
    """Start a process of this checkout, and end it with the block, however the block ends."""
    variables = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    with tempfile.TemporaryFile() as errors:
        started_at = time.monotonic()
        # A group of its own: Ctrl-C reaches the benchmark alone, which ends its children itself.
        popen = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=variables | environment,
            process_group=0,
        )
        try:
            yield Child(popen, started_at, errors)
        finally:
            _end(popen)


def make_moodsort_command(*arguments: str | Path) -> list[str | Path]:
    """Return the command that runs the moodsort of this Python."""
    return [Path(sysconfig.get_path("scripts")) / "moodsort", *arguments]


def make_module_command(name: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", name, *arguments]


def list_family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            pids += list_family(int(child))
    return pids


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that processes hold: RSS counts a shared page in each of them, PSS its share in each."""

    rss: int
    pss: int


def measure_memory(pids: Sequence[int]) -> Memory:
    """Sum up the memory of processes, from /proc/PID/smaps_rollup."""
    rss = pss = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, kibibytes, _ = line.split()
            rss += 1024 * int(kibibytes) if name == "Rss:" else 0
            pss += 1024 * int(kibibytes) if name == "Pss:" else 0
    return Memory(rss, pss)


def measure_cpu_seconds(pids: Sequence[int]) -> float:
    """Sum up the time that processes have spent on a core, in user and in system mode (proc_pid_stat(5))."""
    ticks = 0
    for pid in pids:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / _TICKS


def _end(popen: "subprocess.Popen[bytes]") -> None:
    """End a process; the child processes of a worker end when it does."""
    if popen.poll() is None:
        popen.terminate()
        try:
            popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
    if popen.stdout is not None:
        popen.stdout.close()
