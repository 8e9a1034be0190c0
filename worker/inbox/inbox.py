"""Combine events, scans and inspections: which files of the inbox can be taken on now."""

import logging
import math
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from worker.config import InboxConfig
from worker.fileio import FileIdentity, Wakeup, is_exhausted
from worker.inbox.candidates import Candidate, Hint, Inspection, Writer, is_settled, observe_candidate
from worker.inbox.due_times import DueTimes
from worker.inbox.left_alone import LeftAlone
from worker.inbox.scanner import (
    ScanEntry,
    inspect_file,
    is_whole_file,
    make_companion_test,
    make_ignore_test,
    name_kind,
    name_unreadable,
    read_status,
)
from worker.inbox.scans import Scan, Scans
from worker.inbox.watcher import Event, Watcher
from worker.mounts import is_on_network
from worker.paths import PRIVATE_PREFIX
from worker.tree import Tree

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often to check that the folder is still the watched one and that the observer is alive."""

_WRITER_SECONDS = 0.5
"""How often to inspect a file that is being written, in case no event reports that it was closed."""


_COMPANION = "companion"
"""The kind of a file that belongs to a photo, and is never taken for one."""

_MAX_PATH_BYTES = 4096 - 255 - 16
"""PATH_MAX of Linux, less what the name of the longest label and a number may add on the other side."""

_LONG_PATH = f"file whose path is over {_MAX_PATH_BYTES} bytes"

_SLICE = 1000
"""So many entries of a scan, events and inspections are dealt with in one turn: some 20 ms of each."""


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file that nobody is writing any more."""

    path: Path
    identity: FileIdentity


class Inbox:
    """The watched folder. Nothing here waits: `take_settled` does what is due at `now` and returns.

    `now` is a monotonic time in seconds; `wall` returns the time that ctimes are compared with.
    """

    def __init__(
        self,
        folder: Path,
        config: InboxConfig,
        wall: Callable[[], float],
        return_stray: Callable[[Path], bool] = lambda _: False,
    ) -> None:
        """`return_stray` is called with each file that has a private name.

        It tells whether it has given the file a visible one.
        """
        self._folder = folder
        self._folder_bytes = len(os.fsencode(folder))
        self._real_folder = folder
        self._config = config
        self._wall = wall
        self._is_ignored = make_ignore_test(config.ignore)
        self._is_companion = make_companion_test(config.companions)
        self._wakeup = Wakeup()
        self._watcher: Watcher | None = None
        self._watched_inode: tuple[int, int] | None = None
        self._is_on_network = False
        # Files are known by their path below the folder, as text.
        self._candidates: dict[str, Candidate] = {}
        self._due = DueTimes()
        self._left_alone = LeftAlone(folder)
        self._return_stray = return_stray
        self._strays: list[str] = []
        self._scans = Scans(folder, recursive=config.recursive, is_ignored=self._is_skipped)
        self._in_hand: set[str] = set()
        self._changed_in_hand: set[str] = set()
        self._lacks_descriptors = False
        self._next_inspection = -math.inf
        self._next_scan = 0.0
        self._next_check = 0.0

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when an event has come."""
        return self._wakeup.fileno()

    def open(self, now: float) -> None:
        """Start to watch, then to scan the whole folder."""
        # In this order no file is missed: one that comes during the scan is reported by an event.
        self._watch()
        self._scan()
        self._advance_scans(now)

    def close(self) -> None:
        """Stop watching."""
        self._scans.close()
        self._unwatch()
        self._wakeup.close()

    @property
    def candidate_count(self) -> int:
        """How many candidates are known and not settled yet."""
        return len(self._candidates)

    @property
    def is_scanning(self) -> bool:
        """Whether more candidates may be known after the next turn."""
        has_events = self._watcher is not None and self._watcher.has_events
        return has_events or self._scans.is_under_way or bool(self._strays)

    def next_due(self) -> float:
        """Return the time of the next inspection, check or scan."""
        if self.is_scanning:
            return -math.inf
        next_inspection = max(self._due.find_first(), self._next_inspection)
        return min(self._next_scan, self._next_check, next_inspection)

    def take_settled(self, now: float, limit: int) -> list[SettledFile]:
        """Return at most `limit` files that are settled; they count as in hand until `let_go`."""
        # Before the events are taken: one that comes later wakes the loop again.
        self._wakeup.clear()
        if now >= self._next_check:
            self._check(now)
        self._handle_events(now)
        if now >= self._next_scan:
            self._scan()
        self._advance_scans(now)
        return self._inspect_due(now, limit)

    def hold(self, path: Path) -> None:
        """Count a file as in hand, such as one that a stopped worker had taken on."""
        self._hold(self._name(path))

    def let_go(self, path: Path) -> None:
        """Forget a file that is no longer in hand; if it is still there, the next scan finds it again."""
        name = self._name(path)
        self._in_hand.discard(name)
        if name in self._changed_in_hand:
            # An event came while it was in hand: the path may hold another file by now.
            self._changed_in_hand.discard(name)
            # 0.0 is due at once; that it is unchanged counts from its first inspection.
            self._add_candidate(name, Hint.WHOLE, 0.0)

    def return_strays(self) -> None:
        """Give visible names to files that have private ones, and are nobody's. Raises Transient."""
        while self._strays:
            # Removed after the call, which raises where the database does not answer.
            if self._return_stray(self._folder / self._strays[-1]):
                self._scans.add_folder("")  # an event of the new name may have come too early, or not at all
            self._strays.pop()

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _hold(self, name: str) -> None:
        self._in_hand.add(name)
        self._candidates.pop(name, None)
        self._due.discard(name)

    def postpone(self, path: Path, due: float) -> None:
        """Let go of a settled file that cannot be taken on yet, and inspect it again at a time."""
        name = self._name(path)
        self._in_hand.discard(name)
        self._changed_in_hand.discard(name)
        self._add_candidate(name, Hint.WHOLE, due)

    def find_writer(self, path: Path) -> Writer:
        """Ask once more about a file in hand: whether a program is writing it."""
        try:
            tree = Tree(self._folder)
        except OSError:
            return Writer.UNKNOWN
        with closing(tree):
            return inspect_file(tree, path.relative_to(self._folder)).writer

    def _inspect_due(self, now: float, limit: int) -> list[SettledFile]:
        settled_files: list[SettledFile] = []
        if limit <= 0 or now < max(self._due.find_first(), self._next_inspection):
            return settled_files
        try:
            tree = Tree(self._folder)
        except OSError as error:
            # `_check` reports an inbox that is gone.
            self._next_inspection = now + self._config.settle_seconds
            self._report_exhaustion(error)
            return settled_files
        with closing(tree):
            for _ in range(_SLICE):
                if len(settled_files) >= limit or (name := self._due.take(now)) is None:
                    break
                try:
                    settled_file = self._inspect(tree, name, now)
                except OSError as error:
                    self._due.set(name, now)
                    self._next_inspection = now + CHECK_SECONDS
                    self._report_exhaustion(error)
                    break
                self._lacks_descriptors = False
                if settled_file:
                    settled_files.append(settled_file)
        return settled_files

    def _report_exhaustion(self, error: OSError) -> None:
        """Log once that there are no descriptors, until there are some again."""
        if is_exhausted(error) and not self._lacks_descriptors:
            self._lacks_descriptors = True
            fields = {"event": "exhausted", "detail": str(error)}
            logger.warning("the inbox cannot be read now; trying again", extra=fields)

    def _inspect(self, tree: Tree, name: str, now: float) -> SettledFile | None:
        """Inspect a candidate that is due. Raises OSError where the process has no descriptor left."""
        path = Path(name)
        inspection = inspect_file(tree, path)
        if inspection.identity is None:
            del self._candidates[name]
            self._report_kind(tree, name)
            return None
        previous = self._candidates[name]
        candidate = observe_candidate(previous, previous.hint, inspection, now)
        is_due = is_settled(candidate, inspection, now, self._wall(), self._config.settle_seconds)
        # Asked last: the file has to be read for it.
        if not is_due and not self._is_whole(tree, path, inspection):
            self._candidates[name] = candidate
            has_writer = inspection.writer is Writer.PRESENT
            pause = _WRITER_SECONDS if has_writer else self._config.settle_seconds
            due = min(now + pause, candidate.unchanged_since + self._config.settle_seconds)
            # By rounding it may be due without being settled; it must not be inspected in a busy loop.
            self._due.set(name, due if due > now else now + pause)
            return None
        self._hold(name)
        return SettledFile(self._folder / name, inspection.identity)

    def _is_whole(self, tree: Tree, path: Path, inspection: Inspection) -> bool:
        """Tell whether a file ends where its container says, and nobody is writing it: it need not wait."""
        # The kernel knows the writers of this machine alone.
        if self._is_on_network or inspection.writer is not Writer.NONE:
            return False
        # Inspected again: a program may have begun to write it after the first inspection.
        return is_whole_file(tree, path) and inspect_file(tree, path) == inspection

    def _handle_events(self, now: float) -> None:
        if self._watcher is None:
            return
        for event in self._watcher.take_events(_SLICE):
            self._handle_event(event, now)
        if self._watcher.take_overflow():
            logger.warning("events were lost; reading the whole inbox", extra={"event": "overflow"})
            self._next_scan = now

    def _handle_event(self, event: Event, now: float) -> None:
        relative = event.path.relative_to(self._real_folder)
        # Every part: a scan does not descend into folders that are ignored either.
        if any(map(self._is_ignored, relative.parts)):
            return
        name = str(relative)
        if event.hint is None:
            if relative.parts:
                self._scans.add_folder(name)
        elif self._name_stay(name) is not None:
            return  # the next scan reports it, together with all that have come by then
        elif name in self._in_hand:
            self._changed_in_hand.add(name)
        else:
            self._add_candidate(name, event.hint, now)

    def _add_candidate(self, name: str, hint: Hint, now: float) -> None:
        previous = self._candidates.get(name)
        if previous is None or hint is Hint.WHOLE:
            self._candidates[name] = Candidate(hint, previous.identity if previous else None, now)
        self._due.set(name, now)

    def _scan(self) -> None:
        """Begin to scan the whole folder; the next scan comes a while after this one has ended."""
        self._scans.start_whole()
        self._next_scan = math.inf

    def _advance_scans(self, now: float) -> None:
        """Go on with the scans by one slice."""
        entries_left = _SLICE
        while entries_left and self._scans.is_under_way:
            try:
                scan, entries, is_over = self._scans.advance(entries_left)
            except OSError as error:
                self._report_exhaustion(error)
                self._next_scan = now + CHECK_SECONDS
                return
            entries_left -= len(entries)
            self._take_entries(scan, entries, now)
            if is_over:
                self._end_scan(scan, now)

    def _take_entries(self, scan: Scan, entries: list[ScanEntry], now: float) -> None:
        """Add the files that a scan has met to the candidates."""
        candidate = Candidate(Hint.SEEN, None, now)  # one for all: there may be very many
        for name, kind in entries:
            if _is_private(name):
                self._strays += [name] if kind is None else []
            elif kind := kind or self._name_stay(name):
                scan.kinds[name] = kind
            elif name not in self._in_hand and name not in self._candidates:
                self._candidates[name] = candidate
                self._due.set(name, now)

    def _end_scan(self, scan: Scan, now: float) -> None:
        if scan.is_whole:
            self._left_alone.replace(scan.kinds)
            self._next_scan = now + self._config.rescan_seconds
        else:
            self._left_alone.add(scan.kinds)

    def _name_stay(self, name: str) -> str | None:
        """Name the kind of a file that stays whatever is in it, None where it may be taken on."""
        if self._is_companion(name.rpartition("/")[2]):
            return _COMPANION
        path_bytes = len(os.fsencode(name)) + self._folder_bytes + 1
        return _LONG_PATH if path_bytes > _MAX_PATH_BYTES else None

    def _is_skipped(self, name: str) -> bool:
        return self._is_ignored(name) and not _is_private(name)

    def _report_kind(self, tree: Tree, name: str) -> None:
        try:
            kind = name_kind(read_status(tree, Path(name)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            kind = name_unreadable("file", error)
        if kind is not None:
            self._left_alone.add({name: kind})

    def _check(self, now: float) -> None:
        self._next_check = now + CHECK_SECONDS
        # inotify watches inodes, not paths: a folder that was replaced reports nothing more.
        inode = self._read_inode()
        if inode == self._watched_inode and (self._watcher is None or self._watcher.is_alive):
            return
        self._unwatch()
        if inode is None:
            logger.warning("the inbox is gone", extra={"event": "inbox_gone", "path": self._folder})
            return
        self._watch()
        logger.info("watching again", extra={"event": "watching_again", "path": self._folder})
        self._next_scan = now

    def _read_inode(self) -> tuple[int, int] | None:
        try:
            status = self._folder.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _watch(self) -> None:
        # Before the watch begins: a folder that is replaced between the two is noticed by the next check.
        self._watched_inode = self._read_inode()
        polling = self._config.polling
        self._is_on_network = is_on_network(self._folder.resolve())
        is_polled = polling == "always" or (polling == "auto" and self._is_on_network)
        self._watcher = self._start_watcher(polling=is_polled)
        if self._watcher is None and not is_polled and self._read_inode() is not None:
            logger.warning("the system reports no events here; polling instead (see moodsort doctor)")
            self._watcher = self._start_watcher(polling=True)

    def _start_watcher(self, *, polling: bool) -> Watcher | None:
        self._real_folder = self._folder.resolve()  # watchdog does not follow a symbolic link
        recursive = self._config.recursive
        try:
            return Watcher(self._real_folder, recursive=recursive, polling=polling, wakeup=self._wakeup)
        except (OSError, RecursionError) as error:  # watchdog walks by recursion; folders may be too deep
            cause = {"event": "not_watched", "path": self._folder, "cause": str(error)}
            logger.warning("the inbox cannot be watched; it is scanned at intervals", extra=cause)
            return None

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = None
        self._watched_inode = None


def _is_private(name: str) -> bool:
    """Tell whether a path, as text, has a component with a private name of the worker's own."""
    return name.startswith(PRIVATE_PREFIX) or f"/{PRIVATE_PREFIX}" in name
