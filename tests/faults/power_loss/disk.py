"""A model of a disk and what a power cut may take from it, as in ALICE (Pillai et al., OSDI 2014).

The names in a folder are durable up to its last sync; of later changes a power cut leaves the first ones,
from none to all. What was written to a file since its last sync may be lost. A rename from one folder to
another is one change of both, as journals have it.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Inode = int
FOLDER: Inode = 0
"""Stands for a folder where a name is given to one."""


@dataclass(frozen=True, slots=True)
class NameChange:
    """Names that come and go in one folder, or in two by a rename: the new inode, or None for no name."""

    names: dict[Path, Inode | None]

    @property
    def folders(self) -> set[Path]:
        """The folders that it changes."""
        return {path.parent for path in self.names}


@dataclass(frozen=True, slots=True)
class FolderSync:
    """A folder's names were made durable."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Write:
    """Something was written to a file."""

    inode: Inode


@dataclass(frozen=True, slots=True)
class FileSync:
    """What is in a file was made durable."""

    inode: Inode


@dataclass(frozen=True, slots=True)
class Commit:
    """The database was made durable, as this version."""

    version: int


Event = NameChange | FolderSync | Write | FileSync | Commit


@dataclass(frozen=True, slots=True)
class DiskState:
    """What is on the disk after a power cut: the inode of each name, those without their data, the log."""

    names: dict[Path, Inode]
    empty: frozenset[Inode]
    version: int

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two states the same."""
        return frozenset(self.names.items()), self.empty, self.version


@dataclass(slots=True)
class Journal:
    """What has happened, and what of it is durable."""

    names: dict[Path, Inode]
    version: int
    changes: list[NameChange] = field(default_factory=list)
    synced: dict[Path, int] = field(default_factory=lambda: defaultdict(int))
    unsynced_data: set[Inode] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Go on by one event."""
        match event:
            case NameChange():
                self.changes.append(event)
            case FolderSync(folder):
                self.synced[folder] = len(self.changes)
            case Write(inode):
                self.unsynced_data.add(inode)
            case FileSync(inode):
                self.unsynced_data.discard(inode)
            case Commit(version):
                self.version = version

    def list_states(self) -> Iterator[DiskState]:
        """Yield every state that a power cut may leave now."""
        folders = sorted({folder for change in self.changes for folder in change.folders})
        numbers = [
            range(self._count(folder, self.synced[folder]), self._count(folder) + 1) for folder in folders
        ]
        lost_data = [frozenset(self.unsynced_data), frozenset[Inode]()]
        for kept in itertools.product(*numbers):
            names = self._apply(dict(zip(folders, kept, strict=True)))
            for empty in lost_data[: 1 + bool(self.unsynced_data)]:
                yield DiskState(names, empty & frozenset(names.values()), self.version)

    def _count(self, folder: Path, end: int | None = None) -> int:
        return sum(folder in change.folders for change in self.changes[:end])

    def _apply(self, kept: dict[Path, int]) -> dict[Path, Inode]:
        """Return the names where of each folder's changes the first so many are kept."""
        names = dict(self.names)
        for change in self._choose_changes(kept):
            for path, inode in change.names.items():
                names.pop(path, None)
                if inode is not None:
                    names[path] = inode
        return {path: inode for path, inode in names.items() if self._is_reachable(path, names)}

    def _choose_changes(self, kept: dict[Path, int]) -> list[NameChange]:
        # A change of two folders that is kept in one is kept in the other, and all before it are.
        chosen: set[int] = set()
        while True:
            before = len(chosen)
            for folder, number in kept.items():
                mine = [index for index, change in enumerate(self.changes) if folder in change.folders]
                last = max((index for index in mine if index in chosen), default=-1)
                chosen.update(mine[:number], (index for index in mine if index <= last))
            if len(chosen) == before:
                return [self.changes[index] for index in sorted(chosen)]

    def _is_reachable(self, path: Path, names: dict[Path, Inode]) -> bool:
        return all(folder in names for folder in path.parents if folder != Path())


def list_all_states(names: dict[Path, Inode], version: int, events: list[Event]) -> list[DiskState]:
    """Return each state once that a power cut may leave, before, between and after the events."""
    journal = Journal(names, version)
    states = {state.key: state for state in journal.list_states()}
    for event in events:
        journal.add(event)
        states |= {state.key: state for state in journal.list_states()}
    return list(states.values())
