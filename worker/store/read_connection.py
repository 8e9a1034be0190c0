"""A connection that can only read, to either database.

It uses the drivers directly: SQLAlchemy takes longer to import than a query takes to answer. psycopg is
imported inside functions because it is an optional extra.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from worker.errors import StoreError
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import (
    make_missing_driver_error,
    read_sqlite_code,
    translate_postgres_error,
    translate_sqlite_error,
)
from worker.store.revision import RevisionState, compare_revision, make_newer_revision_error
from worker.store.sqlite import sqlite3

if TYPE_CHECKING:
    import psycopg

_LOCK_SECONDS = 10.0

_WRITE_AHEAD_VERSION = b"\x02\x02"
"""Bytes 18 and 19 of a database that has a write-ahead log (sqlite.org/fileformat.html)."""


class ReadConnection(ABC):
    """Runs queries, each in a transaction of its own; ``?`` marks a parameter."""

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of the result."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Tell whether the database has this table."""


@contextmanager
def open_read_connection(url: str) -> Iterator[ReadConnection]:
    """Open the log for reading only. Raises StoreError where its schema is not the one of this program."""
    with _connect(url) as reader:
        revision = _read_revision(reader)
        match compare_revision(revision):
            case RevisionState.EMPTY:
                raise StoreError(f"{reader.where}: holds no log yet; start the worker with `moodsort run`")
            case RevisionState.OLDER:
                raise StoreError(f"{reader.where}: was made by an older moodsort; run `moodsort db upgrade`")
            case RevisionState.NEWER:
                raise make_newer_revision_error(reader.where, revision)
        yield reader


def read_revision(url: str) -> str | None:
    """Return the revision of the database's schema, or None where it holds no log yet."""
    with _connect(url) as reader:
        return _read_revision(reader)


def _connect(url: str) -> AbstractContextManager[ReadConnection]:
    file = find_sqlite_file(url)
    return _open_sqlite(file, describe_address(url)) if file else _open_postgres(url, describe_address(url))


def _read_revision(reader: ReadConnection) -> str | None:
    if not reader.has_table("alembic_version"):
        return None
    rows = reader.query("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


class _SqliteConnection(ReadConnection):
    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        super().__init__(where)
        self._connection = connection

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            # What a stopped worker has left must be rolled back or recovered first, which takes writing.
            if read_sqlite_code(error) == sqlite3.SQLITE_READONLY:
                raise StoreError(
                    f"{self.where}: its worker was stopped while writing; start it, or `moodsort db upgrade`"
                ) from error
            if failure := translate_sqlite_error(self.where, error):
                raise failure from error
            raise

    def has_table(self, name: str) -> bool:
        return bool(self.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))


@contextmanager
def _open_sqlite(file: Path, where: str) -> Iterator[ReadConnection]:
    if not file.exists():
        raise StoreError(
            f"{where}: is not there yet; start the worker with `moodsort run`, or check database.url"
        )
    # Read-only also keeps SQLite from creating the file and from rolling back a journal of a stopped worker.
    # By its bytes, quoted: a path need not be UTF-8, and a ? in it would begin the parameters.
    address = f"file:{quote_from_bytes(bytes(file.absolute()))}?{_choose_parameters(file)}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        if failure := translate_sqlite_error(where, error):
            raise failure from error
        raise
    with closing(connection):
        # SQLite's own lower() converts ASCII letters only.
        connection.create_function("lower", 1, _lower, deterministic=True)
        yield _SqliteConnection(connection, where)


def _choose_parameters(file: Path) -> str:
    """Return the parameters by which SQLite opens the file for reading only."""
    # To read beside a writer, a reader makes files of its own next to the database. Where it may not, and
    # nobody has it open, which these files would show, the database can be read as it lies there.
    is_open = file.with_name(f"{file.name}-shm").exists() or file.with_name(f"{file.name}-wal").exists()
    if is_open or os.access(file.parent, os.W_OK, effective_ids=True) or not _has_write_ahead_log(file):
        return "mode=ro"
    return "mode=ro&immutable=1"


def _has_write_ahead_log(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(20)[18:] == _WRITE_AHEAD_VERSION
    except OSError:
        return False  # SQLite says what is wrong with it


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


class _PostgresConnection(ReadConnection):
    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", where: str) -> None:
        super().__init__(where)
        self._connection = connection

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _translate_errors(self.where):
            # Safe because the SQL contains neither % nor a literal ?: patterns are parameters.
            # As bytes: the types of psycopg accept no text but a literal one.
            return self._connection.execute(sql.replace("?", "%s").encode(), parameters).fetchall()

    def has_table(self, name: str) -> bool:
        return self.query("SELECT to_regclass(?) IS NOT NULL", (name,)) == [(True,)]


@contextmanager
def _open_postgres(url: str, where: str) -> Iterator[ReadConnection]:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise make_missing_driver_error(where) from error
    with _translate_errors(where):
        # libpq does not know SQLAlchemy's names of drivers. Autocommit, so that no lock outlasts a query.
        connection = psycopg.connect(
            url.replace("postgresql+psycopg://", "postgresql://", 1),
            autocommit=True,
            connect_timeout=10,
            application_name="moodsort",
        )
    with closing(connection):
        with _translate_errors(where):
            connection.execute("SET default_transaction_read_only = on")
        yield _PostgresConnection(connection, where)


@contextmanager
def _translate_errors(where: str) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        is_operational = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if failure := translate_postgres_error(where, error, is_operational):
            raise failure from error
        raise
