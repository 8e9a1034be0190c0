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
from worker.store.address import place, sqlite_file
from worker.store.database_errors import no_driver, postgres_failure, sqlite_failure
from worker.store.revision import Standing, newer, standing

if TYPE_CHECKING:
    import psycopg

_LOCK_SECONDS = 10.0


class Reader(ABC):
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
def open_reader(url: str) -> Iterator[Reader]:
    """Open the log for reading alone, or refuse one with another schema than this program's."""
    with _opened(url) as reader:
        found = _revision(reader)
        match standing(found):
            case Standing.EMPTY:
                raise StoreError(f"{reader.where}: holds no log yet; start the worker with `moodsort run`")
            case Standing.OLDER:
                raise StoreError(f"{reader.where}: was made by an older moodsort; run `moodsort db upgrade`")
            case Standing.NEWER:
                raise newer(reader.where, found)
        yield reader


def revision_of(url: str) -> str | None:
    """Return the revision of the database's schema, or None where it holds no log yet."""
    with _opened(url) as reader:
        return _revision(reader)


def _opened(url: str) -> AbstractContextManager[Reader]:
    file = sqlite_file(url)
    return _open_sqlite(file, place(url)) if file else _open_postgres(url, place(url))


def _revision(reader: Reader) -> str | None:
    if not reader.has_table("alembic_version"):
        return None
    rows = reader.query("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else None


class _SqliteReader(Reader):
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
            if failure := sqlite_failure(self.where, error):
                raise failure from error
            raise

    def has_table(self, name: str) -> bool:
        return bool(self.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))


@contextmanager
def _open_sqlite(file: Path, where: str) -> Iterator[Reader]:
    if not file.exists():
        raise StoreError(
            f"{where}: is not there yet; start the worker with `moodsort run`, or check database.url"
        )
    address = f"file:{quote_from_bytes(bytes(file.absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        if failure := sqlite_failure(where, error):
            raise failure from error
        raise
    with closing(connection):
        # SQLite's own knows the case of ASCII alone.
        connection.create_function("lower", 1, _lower, deterministic=True)
        yield _SqliteReader(connection, where)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


class _PostgresReader(Reader):
    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", where: str) -> None:
        super().__init__(where)
        self._connection = connection

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _told(self.where):
            # Our SQL has no % of its own: patterns are parameters.
            return self._connection.execute(sql.replace("?", "%s").encode(), parameters).fetchall()

    def has_table(self, name: str) -> bool:
        return self.query("SELECT to_regclass(?) IS NOT NULL", (name,)) == [(True,)]


@contextmanager
def _open_postgres(url: str, where: str) -> Iterator[Reader]:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise no_driver(where) from error
    with _told(where):
        connection = psycopg.connect(
            url.replace("postgresql+psycopg://", "postgresql://", 1),
            autocommit=True,
            connect_timeout=10,
            application_name="moodsort",
        )
    with closing(connection):
        with _told(where):
            connection.execute("SET default_transaction_read_only = on")
        yield _PostgresReader(connection, where)


@contextmanager
def _told(where: str) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        is_operational = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if failure := postgres_failure(where, error, is_operational):
            raise failure from error
        raise
