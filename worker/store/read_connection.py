"""A connection that can only read, to either database.

It speaks to the drivers directly: SQLAlchemy takes longer to import than a query takes to answer.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from worker.errors import StoreError
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import (
    refuse_missing_driver,
    translate_postgres_error,
    translate_sqlite_error,
)
from worker.store.revision import RevisionState, compare_revision, refuse_newer

if TYPE_CHECKING:
    import psycopg

_LOCK_SECONDS = 10.0


class ReadConnection(ABC):
    """Answer queries, each in a transaction of its own; parameters are marked with ``?``."""

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return every row of the answer."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Tell whether there is such a table."""


@contextmanager
def open_read_connection(url: str) -> Iterator[ReadConnection]:
    """Open the log for reading alone, or refuse one with another schema than this program's."""
    with _connect(url) as reader:
        found = _query_revision(reader)
        match compare_revision(found):
            case RevisionState.EMPTY:
                raise StoreError(f"{reader.where}: holds no log yet; start the worker with `moodsort run`")
            case RevisionState.OLDER:
                raise StoreError(f"{reader.where}: was made by an older moodsort; run `moodsort db upgrade`")
            case RevisionState.NEWER:
                raise refuse_newer(reader.where, found)
        yield reader


def read_revision(url: str) -> str | None:
    """Return the revision of the database's schema, or None where it holds no log yet."""
    with _connect(url) as reader:
        return _query_revision(reader)


def _connect(url: str) -> AbstractContextManager[ReadConnection]:
    file = find_sqlite_file(url)
    return _open_sqlite(file, describe_address(url)) if file else _open_postgres(url, describe_address(url))


def _query_revision(reader: ReadConnection) -> str | None:
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
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_ROLLBACK:
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
    address = f"file:{quote_from_bytes(bytes(file.absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        if failure := translate_sqlite_error(where, error):
            raise failure from error
        raise
    with closing(connection):
        # SQLite's own knows the case of ASCII alone.
        connection.create_function("lower", 1, _lower, deterministic=True)
        yield _SqliteConnection(connection, where)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


class _PostgresConnection(ReadConnection):
    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", where: str) -> None:
        super().__init__(where)
        self._connection = connection

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _translate_errors(self.where):
            # Our SQL has no % of its own: patterns are parameters.
            return self._connection.execute(sql.replace("?", "%s").encode(), parameters).fetchall()

    def has_table(self, name: str) -> bool:
        return self.query("SELECT to_regclass(?) IS NOT NULL", (name,)) == [(True,)]


@contextmanager
def _open_postgres(url: str, where: str) -> Iterator[ReadConnection]:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise refuse_missing_driver(where) from error
    with _translate_errors(where):
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
