"""Hear of changes in the inbox through watchdog; every event is a hint, and handlers only enqueue."""

import logging
import os
import queue
import re
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from worker.fileio import Wakeup
from worker.inbox.candidates import Hint

logger = logging.getLogger(__name__)

_HINTS: dict[type[FileSystemEvent], Hint] = {
    FileClosedEvent: Hint.WHOLE,
    FileMovedEvent: Hint.WHOLE,
    # inotify tells a file that was made here from one that was renamed in only by the close that follows;
    # the writer check holds the former back until then.
    FileCreatedEvent: Hint.WHOLE,
    FileModifiedEvent: Hint.SEEN,
}

_INOTIFY_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]

_POLLING_EVENTS: list[type[FileSystemEvent]] = [*_INOTIFY_EVENTS, FileModifiedEvent]

# It tells of folders that are made in one another while it looks; both ways it has the watch.
warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)

_OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
"""Where watchdog 7.1 says that the kernel dropped events; it offers no event for it."""

_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How /proc/self/mounts writes a space, a tab, a newline and a backslash (proc_pid_mounts(5))."""

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *(
            "9p",
            "afs",
            "ceph",
            "cifs",
            "davfs",
            "glusterfs",
            "lustre",
            "ncpfs",
            "nfs",
            "nfs4",
            "smb3",
            "smbfs",
        ),
        *("fuse.davfs2", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "vboxsf", "virtiofs"),
    }
)
"""Types whose changes on other machines inotify does not tell."""


@dataclass(frozen=True, slots=True)
class Event:
    """A path and the hint about it; a folder carries no hint and wants a scan."""

    path: Path
    hint: Hint | None


class Watcher:
    """One observer on one folder, and what it has heard since it was last asked."""

    def __init__(self, folder: Path, *, recursive: bool, polling: bool, wakeup: Wakeup) -> None:
        """Start to watch. Raises OSError where the folder cannot be watched (gone, or a limit is reached)."""
        self._heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._wakeup = wakeup
        self._overflow = _OverflowListener(self)
        self._has_overflown = threading.Event()
        self._observer: BaseObserver = PollingObserver(timeout=1.0) if polling else Observer()
        events = _POLLING_EVENTS if polling else _INOTIFY_EVENTS
        try:
            self._observer.schedule(
                _EventHandler(self), str(folder), recursive=recursive, event_filter=events
            )
            self._observer.start()
        except BaseException:
            self._observer.stop()  # else the inotify instance and its reader would be left behind
            raise
        logging.getLogger(_OVERFLOW_LOGGER).addHandler(self._overflow)

    @property
    def is_alive(self) -> bool:
        """Whether the observer, each of its emitters and the reader of inotify's events still run."""
        reader = getattr(self._observer, "_inotify_fd", self._observer)  # watchdog has no public name for it
        return all(thread.is_alive() for thread in (self._observer, reader, *self._observer.emitters))

    def hear(self, heard: Event) -> None:
        """Take a hint in, from any thread."""
        self._heard.put(heard)
        self._wakeup.wake()

    def overflow(self) -> None:
        """Note that events were lost, from any thread."""
        self._has_overflown.set()
        self._wakeup.wake()

    def heard(self) -> list[Event]:
        """Return what has been heard since the last call."""
        found = []
        while True:
            try:
                found.append(self._heard.get_nowait())
            except queue.Empty:
                return found

    def take_overflow(self) -> bool:
        """Tell once whether events were lost."""
        lost = self._has_overflown.is_set()
        self._has_overflown.clear()
        return lost

    def close(self) -> None:
        """Stop watching."""
        logging.getLogger(_OVERFLOW_LOGGER).removeHandler(self._overflow)
        self._observer.stop()
        self._observer.join()


class _EventHandler(FileSystemEventHandler):
    """Enqueues; an exception here would end watchdog's thread."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        if event.is_directory:
            self._watcher.hear(Event(path, None))
        elif hint := _HINTS.get(type(event)):
            self._watcher.hear(Event(path, hint))


class _OverflowListener(logging.Handler):
    """Hears watchdog's own warning."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.WARNING)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._watcher.overflow()


def is_on_network(folder: Path, mounts: str | None = None) -> bool:
    """Tell whether a folder lies on a network file system, by the longest mount point above it.

    `mounts` is the text of /proc/self/mounts; without it (not on Linux) the answer is no.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return False
    best, kind = Path(), ""
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        mounted = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), point))
        if folder.is_relative_to(mounted) and len(mounted.parts) >= len(best.parts):
            best, kind = mounted, found
    return kind in NETWORK_FILE_SYSTEMS
