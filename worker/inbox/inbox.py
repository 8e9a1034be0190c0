"""Bring hints, scans and looks together: which files of the inbox can be taken on now."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.config import InboxConfig as InboxConfig
from worker.fileio import FileIdentity, Wakeup
from worker.inbox.candidates import Candidate, Hint, Writer, is_settled, observe_candidate
from worker.inbox.scanner import inspect_file, make_ignore_test, name_kind, scan_folder
from worker.inbox.watcher import Event, Watcher, is_on_network

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often it is checked that the folder is still the watched one and that the observer lives."""

_WRITER_SECONDS = 0.5
"""How often a file that is being written is looked at again, should its close not be heard of."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A file that no one is writing any more."""

    path: Path
    identity: FileIdentity


class Inbox:
    """The watched folder. Nothing here waits: `resolve_config` does what is due at `now` and returns.

    `now` is a monotonic time in seconds, `wall` the clock that ctimes are compared with.
    """

    def __init__(self, folder: Path, config: InboxConfig, wall: Callable[[], float]) -> None:
        self._folder = folder
        self._watched_as = folder
        self._config = config
        self._wall = wall
        self._is_ignored = make_ignore_test(config.ignore)
        self._wakeup = Wakeup()
        self._watcher: Watcher | None = None
        self._watched: tuple[int, int] | None = None
        self._candidates: dict[Path, Candidate] = {}
        self._due: dict[Path, float] = {}
        self._left_alone: dict[Path, str] = {}
        self._in_hand: set[Path] = set()
        self._heard_in_hand: set[Path] = set()
        self._next_scan = 0.0
        self._next_check = 0.0

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when something has been heard."""
        return self._wakeup.fileno()

    def open(self, now: float) -> None:
        """Start to watch, then read the whole folder."""
        self._watch()
        self._scan(now)

    def close(self) -> None:
        """Stop watching."""
        self._unwatch()
        self._wakeup.close()

    @property
    def candidates(self) -> int:
        """How many candidates are not settled yet."""
        return len(self._candidates)

    def list_being_written(self) -> list[Path]:
        """Return the candidates that somebody was writing when last looked at."""
        return [path for path, candidate in self._candidates.items() if candidate.hint is Hint.SEEN]

    def next_due(self) -> float:
        """Return the time of the next look, check or scan."""
        return min(self._next_scan, self._next_check, *self._due.values())

    def take_settled(self, now: float, limit: int) -> list[Settled]:
        """Return at most `limit` files that are settled; they count as in hand until `let_go`."""
        self._wakeup.clear()
        if now >= self._next_check:
            self._check(now)
        self._take_hints(now)
        if now >= self._next_scan:
            self._scan(now)
        return self._look(now, limit)

    def hold(self, path: Path) -> None:
        """Count a file as in hand: one that a stopped worker had taken on."""
        self._in_hand.add(path)
        self._forget(path)

    def let_go(self, path: Path) -> None:
        """Forget a file that is out of hand; if it is still there, the next scan finds it again."""
        self._in_hand.discard(path)
        if path in self._heard_in_hand:
            self._heard_in_hand.discard(path)
            self._consider(path, Hint.WHOLE, 0.0)

    def _look(self, now: float, limit: int) -> list[Settled]:
        found: list[Settled] = []
        for path, due in list(self._due.items()):
            if len(found) >= limit:
                break
            if due <= now and (settled := self._look_at(path, now)):
                found.append(settled)
        return found

    def _look_at(self, path: Path, now: float) -> Settled | None:
        look = inspect_file(path)
        if look.identity is None:
            self._forget(path)
            self._note_other(path)
            return None
        before = self._candidates[path]
        candidate = observe_candidate(before, before.hint, look, now)
        if not is_settled(candidate, look, now, self._wall(), self._config.settle_seconds):
            self._candidates[path] = candidate
            again = _WRITER_SECONDS if look.writer is Writer.PRESENT else self._config.settle_seconds
            self._due[path] = min(now + again, candidate.still_since + self._config.settle_seconds)
            if self._due[path] <= now:
                self._due[path] = now + again
            return None
        self.hold(path)
        return Settled(path, look.identity)

    def _forget(self, path: Path) -> None:
        self._candidates.pop(path, None)
        self._due.pop(path, None)

    def _take_hints(self, now: float) -> None:
        if self._watcher is None:
            return
        for heard in self._watcher.heard():
            self._take_hint(heard, now)
        if self._watcher.take_overflow():
            logger.warning("events were lost; reading the whole inbox", extra={"event": "overflow"})
            self._next_scan = now

    def _take_hint(self, heard: Event, now: float) -> None:
        relative = heard.path.relative_to(self._watched_as)
        if any(map(self._is_ignored, relative.parts)):
            return
        path = self._folder / relative
        if heard.hint is None:
            if path != self._folder:
                self._scan_folder(path, now)
        elif path in self._in_hand:
            self._heard_in_hand.add(path)
        else:
            self._consider(path, heard.hint, now)

    def _consider(self, path: Path, hint: Hint, now: float) -> None:
        before = self._candidates.get(path)
        if before is None or hint is Hint.WHOLE:
            self._candidates[path] = Candidate(hint, before.identity if before else None, now)
        self._due[path] = now

    def _scan(self, now: float) -> None:
        self._left_alone = {path: kind for path, kind in self._left_alone.items() if os.path.lexists(path)}
        self._scan_folder(self._folder, now)
        self._next_scan = now + self._config.rescan_seconds

    def _scan_folder(self, folder: Path, now: float) -> None:
        found = scan_folder(folder, recursive=self._config.recursive, is_ignored=self._is_ignored)
        for path, other in found:
            if other is not None:
                self._leave_alone(path, other)
            elif path not in self._in_hand and path not in self._candidates:
                self._candidates[path] = Candidate(Hint.SEEN, None, now)
                self._due[path] = now

    def _note_other(self, path: Path) -> None:
        try:
            kind = name_kind(path.lstat().st_mode)
        except OSError:
            return
        if kind is not None:
            self._leave_alone(path, kind)

    def _leave_alone(self, path: Path, kind: str) -> None:
        if self._left_alone.get(path) != kind:
            self._left_alone[path] = kind
            logger.info("left alone", extra={"event": "left_alone", "path": path, "kind": kind})

    def _check(self, now: float) -> None:
        self._next_check = now + CHECK_SECONDS
        here = self._place()
        if here == self._watched and (self._watcher is None or self._watcher.is_alive):
            return
        self._unwatch()
        if here is None:
            logger.warning("the inbox is gone", extra={"event": "inbox_gone", "path": self._folder})
            return
        self._watch()
        logger.info("watching again", extra={"event": "watching_again", "path": self._folder})
        self._next_scan = now

    def _place(self) -> tuple[int, int] | None:
        try:
            found = self._folder.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _watch(self) -> None:
        self._watched = self._place()
        polling = self._config.polling
        is_polled = polling == "always" or (polling == "auto" and is_on_network(self._folder.resolve()))
        self._watcher = self._start_watcher(polling=is_polled)
        if self._watcher is None and not is_polled and self._place() is not None:
            logger.warning("no events to be had here; polling instead (see moodsort doctor)")
            self._watcher = self._start_watcher(polling=True)

    def _start_watcher(self, *, polling: bool) -> Watcher | None:
        self._watched_as = self._folder.resolve()  # watchdog does not follow a symbolic link
        recursive = self._config.recursive
        try:
            return Watcher(self._watched_as, recursive=recursive, polling=polling, wakeup=self._wakeup)
        except (OSError, RecursionError) as error:  # watchdog walks by recursion; folders may be too deep
            cause = {"event": "not_watched", "path": self._folder, "cause": str(error)}
            logger.warning("the inbox cannot be watched; it is read again and again", extra=cause)
            return None

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = None
        self._watched = None
