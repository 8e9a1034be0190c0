"""Check what the operating system grants the worker."""

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.config import Config
from worker.fileio import find_lock_holder
from worker.mounts import is_on_network
from worker.ops.doctor.result import CheckResult, CheckState, report_ok

_LIMITS = Path("/proc/sys/fs/inotify")

_FEW_INSTANCES = 8
"""A desktop alone takes dozens of a user's; the kernel's default is 128 (inotify(7))."""

_SHORT_QUEUE = 1024
"""With fewer, copying in a folder loses events; the kernel's default is 16384 (inotify(7))."""

_CAP_LEASE = 28
"""From linux/capability.h; see capabilities(7)."""

_OWN_FILES = 64
_FILES_PER_PROCESS = 4
"""Open files of the worker itself, and for each child process; both generously rounded up."""


def read_inotify_limit(name: str) -> int | None:
    """Return one of the kernel's limits on inotify, None where it cannot be read."""
    try:
        return int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return None


def count_folders(inbox: Path, recursive: bool) -> int:
    """Count the folders to watch."""
    return 1 + (sum(len(folders) for _, folders, _ in os.walk(inbox)) if recursive else 0)


def check_events(
    config: Config,
    limit: Callable[[str], int | None] = read_inotify_limit,
    is_remote: Callable[[Path], bool] = is_on_network,
    count: Callable[[Path, bool], int] = count_folders,
) -> Iterator[CheckResult]:
    """Check how the worker learns of new photos."""
    polling, inbox = config.inbox.polling, config.inbox_folder
    on_network = is_remote(inbox)
    if on_network and polling == "never":
        yield CheckResult(
            "watching",
            CheckState.WARN,
            "the inbox is on a network file system, whose changes elsewhere only the rescans see",
            'set inbox.polling = "auto"',
        )
    elif on_network or polling == "always":
        why = "is on a network file system" if on_network else 'has inbox.polling = "always"'
        yield report_ok("watching", f"the inbox {why}, and is polled")
        return
    else:
        yield report_ok("watching", "the kernel reports new photos (inotify)")
    yield from _check_inotify(count(inbox, config.inbox.recursive), limit)


def check_open_files(
    processes: int, limit: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
) -> Iterator[CheckResult]:
    """Check that enough files can be open at once."""
    needed, allowed = _OWN_FILES + _FILES_PER_PROCESS * processes, limit()
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        yield report_ok(
            "open files", "unlimited" if allowed == resource.RLIM_INFINITY else f"{allowed} allowed"
        )
    else:
        sentence = f"{allowed} allowed; {processes} processes may need {needed}"
        remedy = f"ulimit -n {needed}, or fewer model.processes"
        yield CheckResult("open files", CheckState.WARN, sentence, remedy)


def read_capabilities() -> int | None:
    """Return the effective capabilities of this process as bits, None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in status.splitlines())
    return int(values["CapEff"], 16) if "CapEff" in values else None


def check_writers(capabilities: Callable[[], int | None] = read_capabilities) -> Iterator[CheckResult]:
    """Report of which files the kernel says whether they are still being written."""
    bits = capabilities()
    if bits is None:
        yield report_ok("writers", "not told here; files have to lie still for inbox.settle_seconds")
    elif bits >> _CAP_LEASE & 1:
        yield report_ok("writers", "the kernel says of every local file whether it is being written")
    else:
        yield report_ok(
            "writers",
            "the kernel says of your own files whether they are being written; those of other users have to "
            "lie still for inbox.settle_seconds (docs/service.md: CAP_LEASE)",
        )


def check_worker(
    config: Config, find_holder: Callable[[Path], int | None] = find_lock_holder
) -> Iterator[CheckResult]:
    """Report whether a worker is running on this inbox or database."""
    processes = {find_holder(path) for path in config.lock_files.values()} - {None}
    if not processes:
        yield report_ok("worker", "not running")
    for process in processes:
        yield report_ok("worker", f"running as process {process}" if process else "running")


def _check_inotify(folders: int, limit: Callable[[str], int | None]) -> Iterator[CheckResult]:
    watches, instances, queue = (
        limit(name) for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    )
    if watches is None or instances is None or queue is None:
        yield report_ok("inotify", "no limits to be read here")
        return
    shortages = []
    if folders > watches:
        # Twice the need: the limit is shared with every other program of the user.
        shortages.append((f"{folders} folders to watch, {watches} allowed", "max_user_watches", 2 * folders))
    if instances < _FEW_INSTANCES:
        shortages.append((f"{instances} watching programs allowed", "max_user_instances", 128))
    if queue < _SHORT_QUEUE:
        shortages.append((f"{queue} waiting events allowed", "max_queued_events", 16384))
    for sentence, name, value in shortages:
        remedy = f"sudo sysctl fs.inotify.{name}={value}, and write that to /etc/sysctl.d/moodsort.conf"
        yield CheckResult("inotify", CheckState.WARN, sentence, remedy)
    if not shortages:
        yield report_ok("inotify", f"{folders} of {watches} watches needed")
