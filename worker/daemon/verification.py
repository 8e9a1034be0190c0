"""Compare the log with the files and the files with the log, a slice at a time, and change neither."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.presence_check import LabelFolders
from worker.fileio import hash_descriptor, identify_file
from worker.inbox.scanner import (
    ScanEntry,
    make_companion_test,
    make_ignore_test,
    open_file,
    read_status,
    walk_folder,
)
from worker.ops.doctor.model import read_classes
from worker.paths import format_path
from worker.store.file_index import Claim, FileIndex
from worker.store.file_log import FileLog, RecordedFile
from worker.store.records import Status
from worker.tree import Tree

if TYPE_CHECKING:
    from worker.store import Store

_SLICE_PHOTOS = 200


class FindingKind(StrEnum):
    """What is wrong with a file or its row."""

    MISSING = "missing"
    FOLDER_GONE = "folder_gone"
    MOVED = "moved"
    CHANGED = "changed"
    RETURNED = "returned"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `path` is relative to the root, `photo_id` None where no row is concerned."""

    kind: FindingKind
    photo_id: int | None
    path: Path
    detail: str
    remedy: str
    is_mended: bool = False


class Verification:
    """One comparison of a log with its files. It takes no lock, and a worker may go on meanwhile."""

    def __init__(self, config: Config, log: FileLog, index: FileIndex, *, reads_contents: bool) -> None:
        """`index` is empty; without `reads_contents` sizes and identities have to do."""
        self._config = config
        self._root = config.root
        self._log = log
        self._index = index
        self._reads_contents = reads_contents
        self._folders = LabelFolders(config.root)
        self._is_ignored = make_ignore_test(config.inbox.ignore)
        self._is_companion = make_companion_test(config.inbox.companions)

    def find_problems(self) -> Iterator[Finding]:
        """Yield what is wrong.

        Raises StoreError or Transient, and OSError where the root cannot be opened.
        """
        # The files first: a file that is filed meanwhile has had its row before it came to its folder.
        yield from self._index_files()
        yield from self._compare_rows()
        yield from self._look_for_lost()
        yield from self._list_unknown()

    def _index_files(self) -> Iterator[Finding]:
        folders = self._config.folders
        names = {folders.review, folders.quarantine, *read_classes(self._config), *self._log.list_folders()}
        with closing(Tree(self._root)) as tree:
            for name in sorted(names):
                for entry in self._scan(name):
                    yield from self._index_entry(tree, entry)

    def _scan(self, folder: str) -> Iterator[ScanEntry]:
        return walk_folder(self._root, recursive=True, is_ignored=self._is_ignored, below=folder)

    def _index_entry(self, tree: Tree, entry: ScanEntry) -> Iterator[Finding]:
        name, kind = entry
        relative = Path(name)
        if kind is not None:
            if "cannot be read" in kind:
                yield _make_unreadable(None, relative, kind)
            return
        if self._is_companion(relative.name):
            return
        try:
            identity = identify_file(read_status(tree, relative))
        except FileNotFoundError:
            return  # it has been moved since the folder was listed
        except OSError as error:
            yield _make_unreadable(None, relative, str(error.strerror))
            return
        if identity is not None:
            self._index.add(relative, identity)

    def _compare_rows(self) -> Iterator[Finding]:
        after_id = 0
        while records := self._log.read_slice(after_id, _SLICE_PHOTOS):
            # Anew for each slice: a folder that is mounted or replaced meanwhile is opened as it is then.
            with closing(Tree(self._root)) as tree:
                for record in records:
                    try:
                        yield from self._compare(tree, record)
                    except OSError as error:
                        yield _make_unreadable(record.photo_id, record.path, str(error.strerror))
                        self._index.claim(record.path, Claim.OTHER)
            after_id = records[-1].photo_id

    def _compare(self, tree: Tree, record: RecordedFile) -> Iterator[Finding]:
        if not record.has_arrived:
            self._index.claim(record.path, Claim.SAME)  # its file may be on the way there
            return
        if not self._holds(tree, record):
            self._index.lose(record.photo_id)
            return
        self._index.claim(record.path, Claim.SAME)
        self._folders.remember([record.folder])
        if record.status is Status.MISSING:
            detail = "it is where it was filed, but the log has it as missing"
            remedy = "start the worker, or type: moodsort verify --mark"
            yield Finding(FindingKind.RETURNED, record.photo_id, record.path, detail, remedy)

    def _holds(self, tree: Tree, record: RecordedFile) -> bool:
        """Tell whether the path of a row holds its file. Raises OSError where that cannot be known."""
        try:
            identity = identify_file(read_status(tree, record.path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        if identity is None:
            return False
        is_same = identity.size_bytes == record.size_bytes
        if is_same and self._reads_contents and record.sha256 is not None:
            is_same = _hash(tree, record.path) == record.sha256
        if not is_same:
            self._index.claim(record.path, Claim.OTHER)
        return is_same

    def _look_for_lost(self) -> Iterator[Finding]:
        for photo_id in self._index.iterate_lost():
            for record in self._log.read_slice(photo_id - 1, 1):
                with closing(Tree(self._root)) as tree:
                    other = self._find_elsewhere(tree, record)
                if other is not None:
                    self._index.claim(other, Claim.SAME)
                    yield _make_moved(record, other)
                elif record.status is not Status.MISSING:
                    yield self._explain_lost(record)

    def _find_elsewhere(self, tree: Tree, record: RecordedFile) -> Path | None:
        """Return where the file of a row is now: by its identity, else by its content."""
        candidates = [
            (path, identity, sha256)
            for path, identity, sha256 in self._index.list_unclaimed(record.size_bytes)
            if path != record.path
        ]
        if file := record.file:
            known = (file.device, file.inode, file.modified_ns)
            for path, identity, _ in candidates:
                if identity == known:
                    return path
        if not self._reads_contents or record.sha256 is None:
            return None
        hashes = ((path, sha256 or self._try_hash(tree, path)) for path, _, sha256 in candidates)
        return next((path for path, sha256 in hashes if sha256 == record.sha256), None)

    def _try_hash(self, tree: Tree, path: Path) -> str | None:
        try:
            sha256 = _hash(tree, path)
        except OSError:
            return None
        self._index.remember_hash(path, sha256)
        return sha256

    def _explain_lost(self, record: RecordedFile) -> Finding:
        if self._index.read_claim(record.path) is Claim.OTHER:
            detail = "it is not the file that was filed: its size or its SHA-256 is not that of the log"
            remedy = "restore it from a backup; leave it if the change is yours"
            return Finding(FindingKind.CHANGED, record.photo_id, record.path, detail, remedy)
        if self._folders.is_absent(record.folder):
            detail = f"the folder {record.folder} is gone, or another one than when photos were filed there"
            remedy = "mount its disk again, or make the folder"
            return Finding(FindingKind.FOLDER_GONE, record.photo_id, record.path, detail, remedy)
        remedy = "put it back, or have the log say so: moodsort verify --mark"
        return Finding(FindingKind.MISSING, record.photo_id, record.path, "it is not there", remedy)

    def _list_unknown(self) -> Iterator[Finding]:
        for path in self._index.iterate_unknown():
            if os.path.lexists(self._root / path):
                remedy = "move it to the inbox to have it filed, or leave it"
                yield Finding(FindingKind.UNKNOWN, None, path, "no row of the log has it", remedy)


def mark_findings(findings: Iterable[Finding], store: "Store") -> Iterator[Finding]:
    """Record what is missing and what has returned, as a worker does that runs; yield all findings."""
    batch: list[Finding] = []
    for finding in findings:
        batch.append(finding)
        if len(batch) == _SLICE_PHOTOS:
            yield from _mark(batch, store)
            batch.clear()
    yield from _mark(batch, store)


def _mark(batch: Sequence[Finding], store: "Store") -> Iterator[Finding]:
    with store.begin_turn() as turn:
        turn.mark_missing(_list_ids(batch, FindingKind.MISSING))
        turn.mark_returned(_list_ids(batch, FindingKind.RETURNED))
    for finding in batch:
        if finding.kind in (FindingKind.MISSING, FindingKind.RETURNED):
            yield replace(finding, remedy="nothing; the log says so now", is_mended=True)
        else:
            yield finding


def _list_ids(batch: Iterable[Finding], kind: FindingKind) -> list[int]:
    return [finding.photo_id for finding in batch if finding.kind is kind and finding.photo_id is not None]


def _hash(tree: Tree, path: Path) -> str:
    descriptor = open_file(tree, path)
    try:
        return hash_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _make_moved(record: RecordedFile, other: Path) -> Finding:
    detail = f"it is at {format_path(other)}"
    remedy = f"move it back to {format_path(record.path)}"
    return Finding(FindingKind.MOVED, record.photo_id, record.path, detail, remedy)


def _make_unreadable(photo_id: int | None, path: Path, cause: str) -> Finding:
    remedy = "check its permissions, and that it is no symbolic link"
    return Finding(FindingKind.UNREADABLE, photo_id, path, cause, remedy)
