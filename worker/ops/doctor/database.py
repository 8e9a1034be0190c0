"""Check the database that the log is kept in."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.errors import MoodsortError
from worker.ops.doctor.result import Finding, State, of_error, ok
from worker.paths import shown
from worker.store.address import place, sqlite_file
from worker.store.read_connection import revision_of
from worker.store.revision import Standing, newer, standing


def check_database(url: str, revision: Callable[[str], str | None] = revision_of) -> Iterator[Finding]:
    """Check that the database answers, and that its schema is one that this program knows."""
    file = sqlite_file(url)
    if file is not None and not os.path.lexists(file):
        yield ok("database", f"{shown(file)} is not there yet; the worker makes it")
        return
    try:
        found = revision(url)
    except MoodsortError as error:
        yield of_error("database", error)
        return
    if file is not None and not os.access(file, os.R_OK | os.W_OK):
        remedy = f"give {shown(file)} to the user who runs the worker (chown, chmod)"
        yield Finding("database", State.FAIL, f"{shown(file)} cannot be written", remedy)
        return
    match standing(found):
        case Standing.CURRENT:
            yield ok("database", f"{place(url)}: revision {found}, up to date")
        case Standing.EMPTY:
            yield ok("database", f"{place(url)}: empty; the worker sets it up")
        case Standing.OLDER:
            text = f"{place(url)}: revision {found}, an older one"
            yield Finding(
                "database", State.WARN, text, "moodsort db upgrade (the worker does it when it starts)"
            )
        case Standing.NEWER:
            yield of_error("database", newer(place(url), found))


def check_sqlite(url: str, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Iterator[Finding]:
    """Tell which SQLite there is, and how it keeps what it has not written yet."""
    if sqlite_file(url) is None:
        return
    from worker.store.engine import can_corrupt_wal

    text = ".".join(str(part) for part in version)
    if can_corrupt_wal(version):
        yield ok("SQLite", f"{text}: rollback journal (its WAL can corrupt; mended in 3.51.3)")
    else:
        yield ok("SQLite", f"{text}: write-ahead log")


def database_folder(url: str) -> Path | None:
    """Return the folder of the database, None where a server keeps it."""
    file = sqlite_file(url)
    return file.parent if file else None
