"""Receive the events of the inbox from watchdog; every event is but a hint, and handlers only enqueue it."""

import logging
import os
import queue
import threading
import warnings
from contextlib import suppress
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
    # By inotify a file that was created here differs from one that was renamed in only by the close that
    # follows; the check for a writer holds the former back until then.
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

# watchdog warns of a folder that it comes upon twice, in a scan and by an event; it is watched in any case.
warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)

_OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
"""Where watchdog 7.1 logs that the kernel dropped events; it offers no event for it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A path and the hint about it; None stands for a folder, which has to be scanned."""

    path: Path
    hint: Hint | None


class Watcher:
    """One observer of one folder, and its events until `take_events` takes them."""

    def __init__(self, folder: Path, *, recursive: bool, polling: bool, wakeup: Wakeup) -> None:
        """Start to watch. Raises OSError where the folder is gone or a limit of the system is reached."""
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._wakeup = wakeup
        self._overflow_listener = _OverflowListener(self)
        self._has_lost_events = threading.Event()
        self._observer: BaseObserver = PollingObserver(timeout=1.0) if polling else Observer()
        # PollingObserver reports no close: of a file that grows it is the modification that says so.
        event_types = _POLLING_EVENTS if polling else _INOTIFY_EVENTS
        try:
            self._observer.schedule(
                _EventHandler(self), str(folder), recursive=recursive, event_filter=event_types
            )
            self._observer.start()
        except BaseException:
            self._observer.stop()  # the inotify instance and its reader would be left behind otherwise
            raise
        logging.getLogger(_OVERFLOW_LOGGER).addHandler(self._overflow_listener)

    @property
    def is_alive(self) -> bool:
        """Whether the observer, each of its emitters and the reader of inotify's events still run."""
        # watchdog has no public name for the reader; a PollingObserver has none.
        reader = getattr(self._observer, "_inotify_fd", self._observer)
        return all(thread.is_alive() for thread in (self._observer, reader, *self._observer.emitters))

    def add_event(self, event: Event) -> None:
        """Enqueue an event, from any thread."""
        self._events.put(event)
        self._wakeup.wake()

    def report_overflow(self) -> None:
        """Remember that events were lost, from any thread."""
        self._has_lost_events.set()
        self._wakeup.wake()

    @property
    def has_events(self) -> bool:
        """Whether `take_events` has left some."""
        return not self._events.empty()

    def take_events(self, count: int) -> list[Event]:
        """Remove and return the first events, at most `count`."""
        events: list[Event] = []
        with suppress(queue.Empty):
            while len(events) < count:
                events.append(self._events.get_nowait())
        return events

    def take_overflow(self) -> bool:
        """Tell once whether events were lost."""
        has_lost_events = self._has_lost_events.is_set()
        self._has_lost_events.clear()
        return has_lost_events

    def close(self) -> None:
        """Stop watching."""
        logging.getLogger(_OVERFLOW_LOGGER).removeHandler(self._overflow_listener)
        self._end_inotify_emitters()
        self._observer.stop()
        self._observer.join()

    def _end_inotify_emitters(self) -> None:
        """End the threads that read inotify's events while they still have what they read from."""
        # Observer.stop() takes it away from a thread that may hold an event, and that thread logs an error.
        # watchdog has no public name for it; other emitters have nothing like it.
        for emitter in self._observer.emitters:
            if group := getattr(emitter, "_inotify", None):
                emitter.stopped_event.set()
                group.deactivate()
                emitter.join()


class _EventHandler(FileSystemEventHandler):
    """Passes events on; an exception here would end the thread of watchdog."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        if event.is_directory:
            self._watcher.add_event(Event(path, None))
        elif hint := _HINTS.get(type(event)):
            self._watcher.add_event(Event(path, hint))


class _OverflowListener(logging.Handler):
    """Recognises an overflow by the warning that watchdog logs."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.WARNING)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._watcher.report_overflow()
