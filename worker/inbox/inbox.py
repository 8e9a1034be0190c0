"""Combine events, scans and inspections: which files of the inbox can be taken on now."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from worker.config import InboxConfig
from worker.fileio import FileIdentity, Wakeup
from worker.inbox.candidates import Candidate, Hint, Inspection, Writer, is_settled, observe_candidate
from worker.inbox.scanner import (
    inspect_file,
    is_whole_file,
    make_companion_test,
    make_ignore_test,
    name_kind,
    name_unreadable,
    read_status,
    scan_folder,
)
from worker.inbox.watcher import Event, Watcher
from worker.mounts import is_on_network
from worker.tree import Tree

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often to check that the folder is still the watched one and that the observer is alive."""

_WRITER_SECONDS = 0.5
"""How often to inspect a file that is being written, in case no event reports that it was closed."""


_COMPANION = "companion"
"""The kind of a file that belongs to a photo, and is never taken for one."""

_MAX_NAMED = 3
"""So many links and the like are logged by name, each once; a folder full of them would bury what matters."""


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file that nobody is writing any more."""

    path: Path
    identity: FileIdentity


class Inbox:
    """The watched folder. Nothing here waits: `take_settled` does what is due at `now` and returns.

    `now` is a monotonic time in seconds; `wall` returns the time that ctimes are compared with.
    """

    def __init__(self, folder: Path, config: InboxConfig, wall: Callable[[], float]) -> None:
        self._folder = folder
        self._real_folder = folder
        self._config = config
        self._wall = wall
        self._is_ignored = make_ignore_test(config.ignore)
        self._is_companion = make_companion_test(config.companions)
        self._wakeup = Wakeup()
        self._watcher: Watcher | None = None
        self._watched_inode: tuple[int, int] | None = None
        self._is_on_network = False
        self._candidates: dict[Path, Candidate] = {}
        self._due: dict[Path, float] = {}
        self._kinds_left_alone: dict[Path, str] = {}
        self._in_hand: set[Path] = set()
        self._changed_in_hand: set[Path] = set()
        self._next_scan = 0.0
        self._next_check = 0.0

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when an event has come."""
        return self._wakeup.fileno()

    def open(self, now: float) -> None:
        """Start to watch, then scan the whole folder."""
        # In this order no file is missed: one that comes during the scan is reported by an event.
        self._watch()
        self._scan(now)

    def close(self) -> None:
        """Stop watching."""
        self._unwatch()
        self._wakeup.close()

    @property
    def candidate_count(self) -> int:
        """How many candidates are not settled yet."""
        return len(self._candidates)

    def next_due(self) -> float:
        """Return the time of the next inspection, check or scan."""
        return min(self._next_scan, self._next_check, *self._due.values())

    def take_settled(self, now: float, limit: int) -> list[SettledFile]:
        """Return at most `limit` files that are settled; they count as in hand until `let_go`."""
        # Before the events are taken: one that comes later wakes the loop again.
        self._wakeup.clear()
        if now >= self._next_check:
            self._check(now)
        self._handle_events(now)
        if now >= self._next_scan:
            self._scan(now)
        return self._inspect_due(now, limit)

    def hold(self, path: Path) -> None:
        """Count a file as in hand, such as one that a stopped worker had taken on."""
        self._in_hand.add(path)
        self._forget(path)

    def let_go(self, path: Path) -> None:
        """Forget a file that is no longer in hand; if it is still there, the next scan finds it again."""
        self._in_hand.discard(path)
        if path in self._changed_in_hand:
            # An event came while it was in hand: the path may hold another file by now.
            self._changed_in_hand.discard(path)
            # 0.0 is due at once; that it is unchanged counts from its first inspection.
            self._add_candidate(path, Hint.WHOLE, 0.0)

    def postpone(self, path: Path, due: float) -> None:
        """Let go of a settled file that cannot be taken on yet, and inspect it again at a time."""
        self._in_hand.discard(path)
        self._changed_in_hand.discard(path)
        self._add_candidate(path, Hint.WHOLE, due)

    def _inspect_due(self, now: float, limit: int) -> list[SettledFile]:
        settled_files: list[SettledFile] = []
        paths = [path for path, due in self._due.items() if due <= now]
        if not paths or limit <= 0:
            return settled_files
        try:
            tree = Tree(self._folder)
        except OSError:  # `_check` reports an inbox that is gone
            self._due.update(dict.fromkeys(paths, now + self._config.settle_seconds))
            return settled_files
        with closing(tree):
            for path in paths:
                if len(settled_files) >= limit:
                    break
                if settled_file := self._inspect(tree, path, now):
                    settled_files.append(settled_file)
        return settled_files

    def _inspect(self, tree: Tree, path: Path, now: float) -> SettledFile | None:
        inspection = inspect_file(tree, path.relative_to(self._folder))
        if inspection.identity is None:
            self._forget(path)
            self._report_kind(tree, path)
            return None
        previous = self._candidates[path]
        candidate = observe_candidate(previous, previous.hint, inspection, now)
        is_due = is_settled(candidate, inspection, now, self._wall(), self._config.settle_seconds)
        # Asked last: the file has to be read for it.
        if not is_due and not self._is_whole(tree, path, inspection):
            self._candidates[path] = candidate
            has_writer = inspection.writer is Writer.PRESENT
            pause = _WRITER_SECONDS if has_writer else self._config.settle_seconds
            self._due[path] = min(now + pause, candidate.unchanged_since + self._config.settle_seconds)
            if self._due[path] <= now:
                # By rounding it is due without being settled; it must not be inspected in a busy loop.
                self._due[path] = now + pause
            return None
        self.hold(path)
        return SettledFile(path, inspection.identity)

    def _is_whole(self, tree: Tree, path: Path, inspection: Inspection) -> bool:
        """Tell whether a file ends where its container says, and nobody is writing it: it need not wait."""
        # The kernel knows the writers of this machine alone.
        if self._is_on_network or inspection.writer is not Writer.NONE:
            return False
        # Inspected again: a program may have begun to write it after the first inspection.
        relative = path.relative_to(self._folder)
        return is_whole_file(tree, relative) and inspect_file(tree, relative) == inspection

    def _forget(self, path: Path) -> None:
        self._candidates.pop(path, None)
        self._due.pop(path, None)

    def _handle_events(self, now: float) -> None:
        if self._watcher is None:
            return
        for event in self._watcher.take_events():
            self._handle_event(event, now)
        if self._watcher.take_overflow():
            logger.warning("events were lost; reading the whole inbox", extra={"event": "overflow"})
            self._next_scan = now

    def _handle_event(self, event: Event, now: float) -> None:
        relative = event.path.relative_to(self._real_folder)
        # Every part: a scan does not descend into folders that are ignored either.
        if any(map(self._is_ignored, relative.parts)):
            return
        path = self._folder / relative
        if event.hint is None:
            if path != self._folder:
                self._scan_folder(path, now)
        elif self._is_companion(path.name):
            return  # the next scan reports it, together with all that have come by then
        elif path in self._in_hand:
            self._changed_in_hand.add(path)
        else:
            self._add_candidate(path, event.hint, now)

    def _add_candidate(self, path: Path, hint: Hint, now: float) -> None:
        previous = self._candidates.get(path)
        if previous is None or hint is Hint.WHOLE:
            self._candidates[path] = Candidate(hint, previous.identity if previous else None, now)
        self._due[path] = now

    def _scan(self, now: float) -> None:
        # Without the paths that are gone: it would grow for as long as the worker runs.
        self._kinds_left_alone = self._scan_folder(self._folder, now)
        self._next_scan = now + self._config.rescan_seconds

    def _scan_folder(self, folder: Path, now: float) -> dict[Path, str]:
        """Add the files of a folder to the candidates; log and return what is left alone, by its kind."""
        kinds: dict[Path, str] = {}
        entries = scan_folder(
            self._folder,
            recursive=self._config.recursive,
            is_ignored=self._is_ignored,
            below=folder.relative_to(self._folder),
        )
        for path, kind in entries:
            if kind is not None:
                kinds[path] = kind
            elif self._is_companion(path.name):
                kinds[path] = _COMPANION
            elif path not in self._in_hand and path not in self._candidates:
                self._candidates[path] = Candidate(Hint.SEEN, None, now)
                self._due[path] = now
        self._leave_alone(kinds)
        return kinds

    def _report_kind(self, tree: Tree, path: Path) -> None:
        try:
            kind = name_kind(read_status(tree, path.relative_to(self._folder)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            kind = name_unreadable("file", error)
        if kind is not None:
            self._leave_alone({path: kind})

    def _leave_alone(self, kinds: dict[Path, str]) -> None:
        """Log what is not taken on: by name, or many of a kind by their number."""
        new_paths: dict[str, list[Path]] = {}
        for path, kind in kinds.items():
            if self._kinds_left_alone.get(path) != kind:
                self._kinds_left_alone[path] = kind
                new_paths.setdefault(kind, []).append(path)
        for kind, paths in new_paths.items():
            fields = {"event": "left_alone", "kind": kind}
            if len(paths) > _MAX_NAMED:
                logger.info("left alone", extra=fields | {"count": len(paths), "path": paths[0].parent})
                continue
            for path in paths:
                logger.info("left alone", extra=fields | {"path": path})

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
