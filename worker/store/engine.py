"""Connect to the database so that every commit survives a power cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from worker.errors import MoodsortError, StoreError, Transient
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import (
    make_missing_driver_error,
    read_sqlite_code,
    translate_postgres_error,
    translate_sqlite_error,
)
from worker.store.sqlite import sqlite3

_REFUSED_AT_START = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
"""A running worker waits until a person has repaired these; a worker that starts refuses them."""


def connect(url: str, lock_seconds: float) -> Engine:
    """Return an engine whose commits are durable; a statement waits `lock_seconds` for another lock."""
    file = find_sqlite_file(url)
    if file is None:
        return _make_postgres_engine(url, lock_seconds)
    return _make_sqlite_engine(file, lock_seconds)


def _make_sqlite_engine(file: Path, lock_seconds: float) -> Engine:
    address = URL.create("sqlite+pysqlite", database=str(file))
    # NullPool: a connection that is closed has to release its locks at once.
    engine = create_engine(
        address, module=sqlite3, poolclass=NullPool, connect_args={"timeout": lock_seconds}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # The driver would otherwise begin transactions by itself, though not before DDL.
        connection.isolation_level = None
        _prepare_sqlite(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One that begins by reading may fail when it comes to write, without waiting for the lock.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _prepare_sqlite(connection: sqlite3.Connection) -> None:
    # EXTRA also syncs the folder after a rollback journal is unlinked: a power cut before that brings the
    # journal back, and with it the state before the commit (sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA synchronous = EXTRA")
    # SQLite checks references only on connections that ask for it.
    connection.execute("PRAGMA foreign_keys = ON")


def _make_postgres_engine(url: str, lock_seconds: float) -> Engine:
    try:
        engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            connect_args={"connect_timeout": 10, "application_name": "moodsort"},
        )
    except ModuleNotFoundError as error:
        raise make_missing_driver_error(describe_address(url)) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # A server may have it switched off and then loses the newest commits in a crash.
        connection.execute("SET synchronous_commit = on")
        connection.execute(_build_lock_timeout("postgresql", lock_seconds))
        # PostgreSQL takes a SET back when its transaction is rolled back.
        connection.commit()

    return engine


def set_lock_timeout(connection: Connection, lock_seconds: float) -> None:
    """Let a statement on an open connection wait so long for the lock of another program."""
    # Not through SQLAlchemy, which would begin a transaction for it.
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None
    driver_connection.execute(_build_lock_timeout(connection.dialect.name, lock_seconds))
    driver_connection.commit()


def _build_lock_timeout(dialect: str, lock_seconds: float) -> str:
    milliseconds = round(lock_seconds * 1000)
    if dialect == "sqlite":
        return f"PRAGMA busy_timeout = {milliseconds}"
    return f"SET lock_timeout = '{milliseconds}ms'"


@contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Raise errors of the database as Transient or StoreError; an error in our own SQL stays as it is."""
    try:
        yield
    except DBAPIError as error:
        if failure := _translate(where, error):
            raise failure from error
        raise


@contextmanager
def translate_start_errors(where: str) -> Iterator[None]:
    """Do as `translate_errors`, but raise StoreError for what only a person can repair."""
    try:
        with translate_errors(where):
            yield
    except Transient as failure:
        cause = failure.__cause__
        if isinstance(cause, DBAPIError) and read_sqlite_code(cause.orig) in _REFUSED_AT_START:
            raise StoreError(str(failure)) from cause
        raise


def _translate(where: str, error: DBAPIError) -> MoodsortError | None:
    if isinstance(error.orig, sqlite3.Error):
        return translate_sqlite_error(where, error.orig)
    is_operational = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return translate_postgres_error(where, error.orig, is_operational)
