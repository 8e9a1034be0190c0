"""Choose the journal of an SQLite database: a write-ahead log, where it is safe."""

from pathlib import Path

from worker.errors import Transient
from worker.mounts import is_on_network
from worker.store.sqlite import sqlite3


def can_corrupt_wal(version: tuple[int, ...]) -> bool:
    """Tell whether this version of SQLite can corrupt a WAL database that two connections write.

    Fixed in 3.51.3, and backported to 3.50.7 and 3.44.6 (sqlite.org/wal.html#walresetbug).
    """
    is_fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return not is_fixed


def choose_journal_mode(file: Path, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """Return "wal", in which readers never stop the writer, or "delete" where that is not safe.

    A write-ahead log needs memory that all its users share, which other machines do not have
    (sqlite.org/wal.html).
    """
    is_unsafe = can_corrupt_wal(version) or is_on_network(file.parent.resolve())
    return "delete" if is_unsafe else "wal"


def set_journal_mode(connection: sqlite3.Connection, file: Path, where: str) -> None:
    """Bring a database to its journal mode, outside a transaction.

    Raises Transient where other programs have it open and do not let it change.
    """
    wanted_mode = choose_journal_mode(file)
    (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted_mode}").fetchone()
    if mode != wanted_mode:
        raise Transient(f"{where}: is in use by a program that keeps it in {mode} mode; close that program")
