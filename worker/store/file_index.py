"""The files below a root in a temporary database, so that a million of them take no memory."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import IntEnum
from pathlib import Path

from worker.fileio import FileIdentity
from worker.store.sqlite import sqlite3

_CREATE = """\
CREATE TABLE files (
    path BLOB PRIMARY KEY, device TEXT, inode TEXT, size INTEGER, modified INTEGER, claim INTEGER, sha256 TEXT
) WITHOUT ROWID;
CREATE INDEX by_size ON files (size, claim);
CREATE TABLE lost (id INTEGER PRIMARY KEY);
"""


class Claim(IntEnum):
    """What rows say of a file: nothing, that it ought to be another one, or what it is."""

    NONE = 0
    OTHER = 1
    SAME = 2


class FileIndex:
    """Paths with the identities of their files, and the ids of the rows whose files have to be looked for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, path: Path, identity: FileIdentity) -> None:
        """Add a file."""
        # As text: devices and inodes have 64 bits without a sign.
        row = (os.fsencode(path), f"{identity.device}", f"{identity.inode}")
        values = (*row, identity.size_bytes, identity.modified_ns, Claim.NONE)
        self._connection.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, NULL)", values)

    def claim(self, path: Path, claim: Claim) -> None:
        """Record what a row says of a file; a row that fits outweighs one that does not."""
        values = (claim, os.fsencode(path))
        self._connection.execute("UPDATE files SET claim = max(claim, ?) WHERE path = ?", values)

    def read_claim(self, path: Path) -> Claim:
        """Return what rows have said of a file."""
        query = "SELECT claim FROM files WHERE path = ?"
        row = self._connection.execute(query, (os.fsencode(path),)).fetchone()
        return Claim(row[0]) if row else Claim.NONE

    def list_unclaimed(self, size_bytes: int) -> list[tuple[Path, tuple[int, int, int], str | None]]:
        """Return the files of a size that no row fits: path, device, inode and mtime, SHA-256 if known."""
        query = "SELECT path, device, inode, modified, sha256 FROM files WHERE size = ? AND claim < ?"
        rows = self._connection.execute(query, (size_bytes, Claim.SAME)).fetchall()
        return [
            (_restore(path), (int(device), int(inode), modified), sha256)
            for path, device, inode, modified, sha256 in rows
        ]

    def remember_hash(self, path: Path, sha256: str) -> None:
        """Keep the hash of a file, which may be asked for again."""
        self._connection.execute("UPDATE files SET sha256 = ? WHERE path = ?", (sha256, os.fsencode(path)))

    def iterate_unknown(self) -> Iterator[Path]:
        """Yield the files of which no row says anything, in the order of their paths."""
        query = "SELECT path FROM files WHERE claim = ? ORDER BY path"
        for (path,) in self._connection.execute(query, (Claim.NONE,)):
            yield _restore(path)

    def count(self) -> int:
        """Return how many files there are."""
        (count,) = self._connection.execute("SELECT count(*) FROM files").fetchone()
        return int(count)

    def lose(self, photo_id: int) -> None:
        """Remember a row whose file is not where it ought to be."""
        self._connection.execute("INSERT INTO lost VALUES (?)", (photo_id,))

    def iterate_lost(self) -> Iterator[int]:
        """Yield the ids of these rows."""
        for (photo_id,) in self._connection.execute("SELECT id FROM lost ORDER BY id"):
            yield photo_id


@contextmanager
def open_file_index() -> Iterator[FileIndex]:
    """Open an empty index, which is gone when the context ends."""
    # An empty name stands for a temporary database, which SQLite keeps on the disk once it is large.
    with closing(sqlite3.connect("", isolation_level=None)) as connection:
        connection.executescript(_CREATE)
        yield FileIndex(connection)


def _restore(path: bytes) -> Path:
    return Path(os.fsdecode(path))
