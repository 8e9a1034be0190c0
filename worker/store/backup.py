"""Copy an SQLite database while others use it."""

import errno
import shlex
import stat
from contextlib import closing
from datetime import datetime
from pathlib import Path

from worker.errors import StoreError
from worker.fileio import rename_without_replacing, sync_path
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import translate_sqlite_error
from worker.store.read_connection import read_revision
from worker.store.sqlite import sqlite3

_NO_EXCLUSIVE_RENAME = frozenset({errno.ENOSYS, errno.EINVAL})
"""How systems and file systems say that they have no RENAME_NOREPLACE (renameat2(2))."""


def back_up_log(url: str, copy: Path) -> None:
    """Copy the log to a new file, while a worker may be writing it.

    Raises StoreError where there is no log, where a server keeps it, where the copy is there already, and
    where it cannot be written; Transient where the database does not answer.
    """
    file = find_sqlite_file(url)
    if file is None:
        raise StoreError(
            f"{describe_address(url)}: is kept by a server; type: {make_dump_command(url, copy)}"
        )
    if read_revision(url) is None:
        raise StoreError(f"{describe_address(url)}: holds no log yet; start the worker with `moodsort run`")
    copy_database(file, copy)


def make_dump_command(url: str, copy: Path) -> str:
    """Return the command by which PostgreSQL writes a database to a file; it asks for the password."""
    address = describe_address(url).replace("postgresql+psycopg://", "postgresql://").replace(":***@", "@")
    return shlex.join(["pg_dump", "--format=custom", f"--file={copy}", address])


def back_up_beside(file: Path, revision: str, now: datetime) -> Path:
    """Copy a database to a file beside it, which bears its revision and the time, and return that."""
    copy = file.with_name(f"{file.name}.backup-{revision}-{now:%Y%m%dT%H%M%S%fZ}")
    copy_database(file, copy)
    return copy


def copy_database(file: Path, copy: Path) -> None:
    """Copy an SQLite database to a new file, durably, whole or not at all, and never over another file.

    Raises StoreError or Transient; no incomplete copy is left then.
    """
    with StagedFile(copy) as partial:
        try:
            partial.touch(stat.S_IMODE(file.stat().st_mode))
            with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
                # Not a copy of the file, which would lack what is in the journal or the write-ahead log.
                source.backup(target)
        except sqlite3.Error as error:
            raise translate_sqlite_error(str(copy), error) or _make_failure(copy, error) from error


class StagedFile:
    """A database that is built under a hidden name; it gets its own name, durably, when the context ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Path:
        """Return the hidden path, at which there is nothing. Raises StoreError where the name is taken."""
        if self._path.exists() or self._path.is_symlink():
            raise _make_taken_error(self._path)
        self._discard()
        return self._partial

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Give it its name, or discard it. Raises StoreError where either fails."""
        try:
            if error is None:
                self._publish()
        except FileExistsError as taken:
            raise _make_taken_error(self._path) from taken
        except OSError as failure:
            raise _make_failure(self._path, failure) from failure
        finally:
            self._discard()
        if isinstance(error, OSError):
            raise _make_failure(self._path, error) from error

    def _publish(self) -> None:
        # Before the rename: after a power cut the name stands for the whole database, or for nothing.
        sync_path(self._partial)
        try:
            rename_without_replacing(self._partial, self._path)
        except OSError as error:
            if error.errno not in _NO_EXCLUSIVE_RENAME:
                raise
            self._path.hardlink_to(self._partial)
        sync_path(self._path.parent)

    def _discard(self) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            self._partial.with_name(f"{self._partial.name}{suffix}").unlink(missing_ok=True)


def _make_taken_error(copy: Path) -> StoreError:
    return StoreError(f"{copy}: is there already; name a file that is not")


def _make_failure(copy: Path, error: Exception) -> StoreError:
    return StoreError(f"{copy}: cannot be written ({error}); check its folder, and free some space there")
