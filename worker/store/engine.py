"""Connect to the database so that what was committed survives a power cut."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from worker.errors import MoodsortError, StoreError, Transient
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import (
    read_sqlite_code,
    refuse_missing_driver,
    translate_postgres_error,
    translate_sqlite_error,
)

_REFUSED_AT_START = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
"""What a running worker waits for a person to mend, and one that starts does not start with."""


def can_corrupt_wal(version: tuple[int, ...]) -> bool:
    """Tell whether this SQLite can corrupt a WAL database that two connections write.

    Mended in 3.51.3, and in 3.50.7 and 3.44.6 of their lines (sqlite.org/wal.html#walresetbug).
    """
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return not mended


def connect(url: str, lock_seconds: float) -> Engine:
    """Return an engine whose transactions are durable and wait `lock_seconds` for another's lock."""
    file = find_sqlite_file(url)
    if file is None:
        return _postgres_engine(url, lock_seconds)
    return _sqlite_engine(file, describe_address(url), lock_seconds)


def _sqlite_engine(file: Path, where: str, lock_seconds: float) -> Engine:
    address = URL.create("sqlite+pysqlite", database=str(file))
    engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": lock_seconds})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # None: the driver would otherwise begin transactions on its own, and not before DDL.
        connection.isolation_level = None
        _prepare_sqlite(connection, where)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _prepare_sqlite(connection: sqlite3.Connection, where: str) -> None:
    wanted = "delete" if can_corrupt_wal(sqlite3.sqlite_version_info) else "wal"
    (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
    if mode != wanted:
        raise Transient(f"{where}: is in use by a program that keeps it in {mode} mode; close that program")
    # EXTRA also syncs the folder once the rollback journal is unlinked: until then a power cut brings the
    # journal back, and with it the state before the commit (sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")


def _postgres_engine(url: str, lock_seconds: float) -> Engine:
    try:
        engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            connect_args={"connect_timeout": 10, "application_name": "moodsort"},
        )
    except ModuleNotFoundError as error:
        raise refuse_missing_driver(describe_address(url)) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # A database may have it off, and with it lose the newest commits.
        connection.execute("SET synchronous_commit = on")
        connection.execute(f"SET lock_timeout = '{lock_seconds * 1000:.0f}ms'")
        connection.commit()

    return engine


@contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Raise what a database refuses as Transient or StoreError; a defect of ours stays what it is."""
    try:
        yield
    except DBAPIError as error:
        if failure := _translate(where, error):
            raise failure from error
        raise


@contextmanager
def translate_start_errors(where: str) -> Iterator[None]:
    """Do as `translate_errors`, and refuse to start with what only a person can mend."""
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
