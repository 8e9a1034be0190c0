"""What the log says of files: read in slices, beside a worker that writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.fileio import KnownFile
from worker.paths import restore_path
from worker.store.read_connection import ReadConnection, open_read_connection
from worker.store.records import Status

_UNSIGNED = (1 << 64) - 1
"""Turns the signed numbers that the databases store into those of devices and inodes."""

_SLICE = """\
SELECT id, path, path_raw, folder, status, sha256, size_bytes, device, inode, mtime_ns, filed_at IS NOT NULL
FROM photos WHERE id > ? AND status <> 'pending' ORDER BY id LIMIT ?"""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file as its row has it; `path` is relative to the root, `sha256` None where it was never read.

    `file` is None in rows that are older than identities. Only a photo that was filed or quarantined once is
    `has_arrived`; any other is on its way, or went missing before it was filed.
    """

    photo_id: int
    path: Path
    folder: str
    status: Status
    sha256: str | None
    size_bytes: int
    file: KnownFile | None
    has_arrived: bool


class FileLog:
    """The rows of photos as records of files."""

    def __init__(self, reader: ReadConnection) -> None:
        self._reader = reader

    def list_folders(self) -> set[str]:
        """Return the folders that photos were filed to."""
        query = "SELECT DISTINCT folder FROM photos WHERE filed_at IS NOT NULL"
        return {folder for (folder,) in self._reader.query(query)}

    def read_slice(self, after_id: int, limit: int) -> list[RecordedFile]:
        """Return the next rows after an id, but for those of photos that are pending."""
        return [_make_record(*row) for row in self._reader.query(_SLICE, (after_id, limit))]


@contextmanager
def open_file_log(url: str) -> Iterator[FileLog]:
    """Open the log for reading only. Raises as `open_log`."""
    with open_read_connection(url) as reader:
        yield FileLog(reader)


def _make_record(
    photo_id: int,
    path: str,
    path_raw: bytes | None,
    folder: str,
    status: str,
    sha256: str | None,
    size_bytes: int,
    device: int | None,
    inode: int | None,
    modified_ns: int | None,
    has_arrived: Any,
) -> RecordedFile:
    return RecordedFile(
        photo_id=photo_id,
        path=restore_path(path, path_raw),
        folder=folder,
        status=Status(status),
        sha256=sha256,
        size_bytes=size_bytes,
        file=_make_known_file(device, inode, size_bytes, modified_ns),
        has_arrived=bool(has_arrived),
    )


def _make_known_file(
    device: int | None, inode: int | None, size_bytes: int, modified_ns: int | None
) -> KnownFile | None:
    if device is None or inode is None or modified_ns is None:
        return None
    return KnownFile(device & _UNSIGNED, inode & _UNSIGNED, size_bytes, modified_ns)
