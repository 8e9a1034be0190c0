"""Walk through the inbox a slice at a time, so that no turn waits for a folder of many files."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from worker.inbox.scanner import ScanEntry, walk_folder


@dataclass(slots=True)
class Scan:
    """One walk, through the whole inbox or a folder of it; `kinds` is what it has met and left alone."""

    entries: Generator[ScanEntry, None, None]
    is_whole: bool
    kinds: dict[str, str] = field(default_factory=dict)


class Scans:
    """The walks that are wanted, one after the other; the first is under way."""

    def __init__(self, folder: Path, *, recursive: bool, is_ignored: Callable[[str], bool]) -> None:
        self._folder = folder
        self._recursive = recursive
        self._is_ignored = is_ignored
        self._scan: Scan | None = None
        self._folders: dict[str, None] = {}  # in their order, each once

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to advance."""
        return self._scan is not None or bool(self._folders)

    def start_whole(self) -> None:
        """Begin with the whole inbox, in place of all that was wanted before."""
        self.close()
        self._scan = self._begin("", is_whole=True)

    def add_folder(self, below: str) -> None:
        """Scan a folder of the inbox after what is wanted already."""
        self._folders[below] = None

    def advance(self, count: int) -> tuple[Scan, list[ScanEntry], bool]:
        """Return the walk that is under way, its next entries, and whether these were the last.

        Raises OSError where the process has no descriptor left; that walk is given up then.
        """
        if self._scan is None:
            below = next(iter(self._folders))
            del self._folders[below]
            self._scan = self._begin(below, is_whole=False)
        scan = self._scan
        try:
            entries = list(islice(scan.entries, count))
        except OSError:
            self._scan = None
            raise
        is_over = len(entries) < count
        if is_over:
            self._scan = None
        return scan, entries, is_over

    def close(self) -> None:
        """Give up all that is wanted, and close the folders that are open for it."""
        if self._scan is not None:
            self._scan.entries.close()
        self._scan = None
        self._folders.clear()

    def _begin(self, below: str, *, is_whole: bool) -> Scan:
        entries = walk_folder(
            self._folder, recursive=self._recursive, is_ignored=self._is_ignored, below=below
        )
        return Scan(entries, is_whole)
