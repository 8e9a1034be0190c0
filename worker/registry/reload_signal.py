"""Ask the running worker to read its configuration again."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.config import Config
from worker.fileio import find_lock_holder


class ReloadStatus(Enum):
    """What became of a request to reload."""

    SENT = "sent"
    NO_WORKER = "no worker"
    UNKNOWN_PROCESS = "unknown process"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What became of a request to reload, and the process that was signalled; 0 where none was."""

    status: ReloadStatus
    process: int = 0


def request_reload(config: Config, kill: Callable[[int, int], None] = os.kill) -> ReloadResult:
    """Send SIGHUP to the worker that holds the inbox, where it is known which process that is."""
    # The id in the lock may come from another machine or container, and SIGHUP ends a process that does not
    # expect it: so the process must have the lock open, where the system tells.
    lock = next(iter(config.lock_files.values()))
    process = find_lock_holder(lock)
    if process is None:
        return ReloadResult(ReloadStatus.NO_WORKER)
    try:
        if not process or not _has_open(process, lock):
            return ReloadResult(ReloadStatus.UNKNOWN_PROCESS)
        kill(process, signal.SIGHUP)
    except PermissionError:
        return ReloadResult(ReloadStatus.FORBIDDEN)
    except ProcessLookupError:
        return ReloadResult(ReloadStatus.UNKNOWN_PROCESS)
    return ReloadResult(ReloadStatus.SENT, process)


def _has_open(process: int, file: Path) -> bool:
    if not Path("/proc/self/fd").is_dir():  # macOS
        return True
    try:
        descriptors = list(Path(f"/proc/{process}/fd").iterdir())
    except FileNotFoundError:
        return False
    return any(_is_same(descriptor, file) for descriptor in descriptors)


def _is_same(descriptor: Path, file: Path) -> bool:
    try:
        return descriptor.samefile(file)
    except FileNotFoundError:
        return False
