"""Record what a worker does to the disk, and keep every file that it has touched, to lay it out again."""

import os
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.power_loss.disk import (
    FOLDER,
    Commit,
    Event,
    FileSync,
    FolderSync,
    Inode,
    NameChange,
    Write,
)
from tests.home import Home
from worker.filing import FileOperations
from worker.store.sqlite import sqlite3
from worker.tree import Entry, Folder


class Recorder:
    """The events of a run. `vault` has a hard link to every inode, so that none is given out twice."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.events: list[Event] = []
        self.names: dict[Path, Inode] = {}
        self._home = home
        self._vault = folder / "vault"
        self._versions = folder / "versions"
        self._vault.mkdir(parents=True)
        self._versions.mkdir()
        self.version = 0

    def start(self, new_folders: Collection[str]) -> None:
        """Take what is on the disk for durable, but for the names of some folders of the root."""
        for above, folders, files in os.walk(self._home.root):
            relative = Path(above).relative_to(self._home.root)
            self.names |= {relative / name: FOLDER for name in folders}
            for name in files:
                self.names[relative / name] = self._keep(Path(above, name))
        for name in new_folders:
            self.events.append(NameChange({Path(name): self.names.pop(Path(name))}))
        if self._home.database.exists():
            self._save_database()

    def get_file(self, inode: Inode) -> Path:
        """Return the link to an inode."""
        return self._vault / str(inode)

    def get_database(self, version: int) -> Path:
        """Return the database as of one commit; that of version 0 may not be there."""
        return self._versions / f"{version}.db"

    def record_step(self, step: str) -> None:
        """Take note of a commit, as `open_observed_worker` reports it."""
        if step.startswith("after ") and step.endswith(" commit"):
            self.version += 1
            self._save_database()
            self.events.append(Commit(self.version))

    def wrap(self, operations: FileOperations) -> FileOperations:
        """Return operations that record what they have done."""
        return replace(
            operations,
            open_file=self._observe(operations.open_file, self._record_opened),
            link=self._observe(operations.link, self._record_link),
            rename=self._observe(operations.rename, self._record_rename),
            rename_without_replacing=self._observe(operations.rename_without_replacing, self._record_rename),
            unlink=self._observe(operations.unlink, self._record_unlink),
            make_folder=self._observe(operations.make_folder, self._record_folder),
            sync_folder=self._observe(operations.sync_folder, self._record_folder_sync),
            copy=self._observe(operations.copy, self._record_write),
            fsync=self._observe(operations.fsync, self._record_sync),
        )

    def _observe(self, call: Callable[..., Any], record: Callable[..., None]) -> Callable[..., Any]:
        def call_and_record(*arguments: Any) -> Any:
            result = call(*arguments)
            record(result, *arguments)
            return result

        return call_and_record

    def _record_opened(self, descriptor: int, entry: Entry, flags: int) -> None:
        if flags & os.O_CREAT:
            inode = self._keep(Path(f"/proc/self/fd/{descriptor}"))
            self.events += [NameChange({entry.path: inode}), Write(inode)]

    def _record_link(self, _: None, source: Entry, descriptor: int, destination: Entry) -> None:
        self.events.append(NameChange({destination.path: os.fstat(descriptor).st_ino}))

    def _record_rename(self, _: None, source: Entry, destination: Entry) -> None:
        inode = FileOperations().read_status(destination).st_ino
        self.events.append(NameChange({source.path: None, destination.path: inode}))

    def _record_unlink(self, _: None, entry: Entry) -> None:
        self.events.append(NameChange({entry.path: None}))

    def _record_folder(self, _: None, entry: Entry) -> None:
        self.events.append(NameChange({entry.path: FOLDER}))

    def _record_folder_sync(self, _: None, folder: Folder) -> None:
        self.events.append(FolderSync(folder.path))

    def _record_write(self, _: int, source: int, target: int, offset: int, count: int) -> None:
        self.events.append(Write(os.fstat(target).st_ino))

    def _record_sync(self, _: None, descriptor: int) -> None:
        self.events.append(FileSync(os.fstat(descriptor).st_ino))

    def _keep(self, path: Path) -> Inode:
        inode = path.stat().st_ino
        if not self.get_file(inode).exists():
            # By linkat(2): link(2) would link the entry of /proc itself.
            folder = os.open(self._vault, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.link(path, str(inode), dst_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
        return inode

    def _save_database(self) -> None:
        with (
            closing(sqlite3.connect(self._home.database)) as source,
            closing(sqlite3.connect(self.get_database(self.version))) as target,
        ):
            source.backup(target)
