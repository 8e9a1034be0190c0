"""Check the database that the log is kept in."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.errors import MoodsortError
from worker.ops.doctor.result import CheckResult, CheckState, report_error, report_ok
from worker.paths import format_path
from worker.store.address import describe_address, find_sqlite_file
from worker.store.read_connection import read_revision
from worker.store.revision import RevisionState, compare_revision, make_newer_revision_error
from worker.store.sqlite import sqlite3


def check_database(url: str, revision: Callable[[str], str | None] = read_revision) -> Iterator[CheckResult]:
    """Check that the database answers, and that its schema is one that this program knows."""
    file = find_sqlite_file(url)
    if file is not None and not os.path.lexists(file):
        yield report_ok("database", f"{format_path(file)} is not there yet; the worker makes it")
        return
    try:
        current = revision(url)
    except MoodsortError as error:
        yield report_error("database", error)
        return
    if file is not None and not os.access(file, os.R_OK | os.W_OK):
        remedy = f"give {format_path(file)} to the user who runs the worker (chown, chmod)"
        yield CheckResult("database", CheckState.FAIL, f"{format_path(file)} cannot be written", remedy)
        return
    match compare_revision(current):
        case RevisionState.CURRENT:
            yield report_ok("database", f"{describe_address(url)}: revision {current}, up to date")
        case RevisionState.EMPTY:
            yield report_ok("database", f"{describe_address(url)}: empty; the worker sets it up")
        case RevisionState.OLDER:
            text = f"{describe_address(url)}: revision {current}, an older one"
            yield CheckResult(
                "database", CheckState.WARN, text, "moodsort db upgrade (the worker does it when it starts)"
            )
        case RevisionState.NEWER:
            yield report_error("database", make_newer_revision_error(describe_address(url), current))


def check_sqlite(url: str, version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Iterator[CheckResult]:
    """Report the version of SQLite, and the journal that the worker uses with it."""
    if find_sqlite_file(url) is None:
        return
    # Not at the top: it imports SQLAlchemy, which is not needed where a server keeps the log.
    from worker.store.journal import can_corrupt_wal

    text = ".".join(str(part) for part in version)
    if can_corrupt_wal(version):
        yield report_ok("SQLite", f"{text}: rollback journal (its WAL can corrupt; mended in 3.51.3)")
    else:
        yield report_ok("SQLite", f"{text}: write-ahead log")


def find_database_folder(url: str) -> Path | None:
    """Return the folder of the database, None where a server keeps it."""
    file = find_sqlite_file(url)
    return file.parent if file else None
