"""Translate the errors of both databases into one line each: transient, or a reason not to start."""

from worker.errors import Locked, MoodsortError, StoreError, Transient, suggest_extra
from worker.store.sqlite import sqlite3

_SQLITE_PRIMARY = 0xFF
"""An extended result code carries its primary one in the low byte (sqlite.org/rescode.html)."""

_LOCKED = "is locked by another program; close that program, or wait for it"

_SQLITE_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_SQLITE_TRANSIENT = {
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written, the disk reports an error; check the disk",
    sqlite3.SQLITE_READONLY: "cannot be written; check that it is there and writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder is there and writable",
    sqlite3.SQLITE_PERM: "may not be opened; check its permissions",
    sqlite3.SQLITE_INTERRUPT: "was interrupted; try again",
}
_SQLITE_PERMANENT = {
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a backup, or save what is left with sqlite3's .recover",
    sqlite3.SQLITE_NOTADB: "is not a moodsort database; name another file in database.url",
}

# SQLSTATE codes: postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES_LOCKED = {
    "55P03": _LOCKED,
    "40P01": "was busy with another worker; try again",
    "40001": "was busy with another worker; try again",
}
_POSTGRES_TRANSIENT = {
    "53100": "cannot grow, the server's disk is full; free some space there",
    "53200": "has no memory left, or no room for locks; raise max_locks_per_transaction there",
    "25006": "is read-only; point database.url at the primary server",
}
_POSTGRES_PERMANENT = {
    "XX001": "is damaged; restore it from a backup",
    "XX002": "has a damaged index; REINDEX it",
    "42501": "may not be used by this user; grant the rights, or name another user in database.url",
}


def translate_sqlite_error(where: str, error: sqlite3.Error) -> MoodsortError | None:
    """Return the error to raise for an error of SQLite, or None where the statement itself is wrong."""
    code = read_sqlite_code(error)
    if code in _SQLITE_LOCKED:
        return Locked(f"{where}: {_LOCKED}")
    if sentence := _SQLITE_TRANSIENT.get(code):
        return Transient(f"{where}: {sentence}")
    if sentence := _SQLITE_PERMANENT.get(code):
        return StoreError(f"{where}: {sentence}")
    return None


def read_sqlite_code(error: BaseException | None) -> int:
    """Return the primary result code of an error of SQLite."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _SQLITE_PRIMARY


def translate_postgres_error(
    where: str, error: BaseException | None, is_operational: bool
) -> MoodsortError | None:
    """Return the error to raise for an error of psycopg, or None where the statement itself is wrong.

    `is_operational` says whether psycopg calls it one of the connection, which often has no SQLSTATE.
    """
    state = getattr(error, "sqlstate", None) or ""
    if sentence := _POSTGRES_PERMANENT.get(state):
        return StoreError(f"{where}: {sentence}")
    if sentence := _POSTGRES_LOCKED.get(state):
        return Locked(f"{where}: {sentence}")
    if sentence := _POSTGRES_TRANSIENT.get(state):
        return Transient(f"{where}: {sentence}")
    if not is_operational:
        return None
    cause = " ".join(str(error).split())
    return Transient(f"{where}: the connection was lost or refused ({cause}); check that the server runs")


def make_missing_driver_error(where: str) -> StoreError:
    """Return the error of a PostgreSQL database where psycopg is not installed."""
    return StoreError(f"{where}: needs the PostgreSQL driver; {suggest_extra('postgres')}")
