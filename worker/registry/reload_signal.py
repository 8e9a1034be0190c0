"""Tell the worker that is running to read its configuration again."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.config import Config
from worker.fileio import find_lock_holder


class ReloadResult(Enum):
    """What became of it."""

    TOLD = "told"
    NOBODY = "nobody"
    UNKNOWN = "unknown"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class ReloadReply:
    """What became of it, and the process that was told; 0 where none was."""

    result: ReloadResult
    process: int = 0


def request_reload(config: Config, kill: Callable[[int, int], None] = os.kill) -> ReloadReply:
    """Send SIGHUP to the worker that holds the inbox.

    The number in the lock may be of another machine or container, and SIGHUP ends a process that does not
    expect it: only one that has the lock open is sent it, where the system tells.
    """
    lock = next(iter(config.lock_files.values()))
    process = find_lock_holder(lock)
    if process is None:
        return ReloadReply(ReloadResult.NOBODY)
    try:
        if not process or not _has_open(process, lock):
            return ReloadReply(ReloadResult.UNKNOWN)
        kill(process, signal.SIGHUP)
    except PermissionError:
        return ReloadReply(ReloadResult.FORBIDDEN)
    except ProcessLookupError:
        return ReloadReply(ReloadResult.UNKNOWN)
    return ReloadReply(ReloadResult.TOLD, process)


def _has_open(process: int, file: Path) -> bool:
    if not Path("/proc/self/fd").is_dir():
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
