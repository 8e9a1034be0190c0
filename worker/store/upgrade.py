"""Bring a database's schema up to date, or refuse one that this program is too old for."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from worker.errors import StoreError
from worker.fileio import sync_path
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import translate_sqlite_error
from worker.store.locks import hold_schema
from worker.store.revision import HEAD, RevisionState, compare_revision, refuse_newer
from worker.store.schema import metadata


def migrations_folder() -> Path:
    """Return the folder of the migrations that came with this program."""
    spec = find_spec("migrations")
    if spec is None or spec.origin is None:
        raise StoreError("migrations: the package is missing; install moodsort again")
    return Path(spec.origin).parent


def upgrade_schema(engine: Engine, url: str, scripts: Path | None = None, head: str = HEAD) -> None:
    """Apply the migrations that the database lacks, all in one transaction, after a backup of what is there.

    Raises StoreError where the database is newer than this program, or another program's.
    """
    with engine.connect() as connection:
        with connection.begin():
            found = read_current_revision(connection)
            state = compare_revision(found, head)
            if state is RevisionState.NEWER:
                raise refuse_newer(describe_address(url), found, head)
            if state is RevisionState.EMPTY:
                _refuse_foreign(connection, describe_address(url))
            if state is RevisionState.CURRENT:
                _prove_writable(connection)
        if state is not RevisionState.CURRENT:
            _upgrade(connection, url, scripts or migrations_folder(), head)


def read_current_revision(connection: Connection) -> str | None:
    """Return the database's revision, or None where it holds no log yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _prove_writable(connection: Connection) -> None:
    # SQLite opens what it cannot write, and even begins a transaction for writing there.
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _refuse_foreign(connection: Connection, where: str) -> None:
    there = set(inspect(connection).get_table_names())
    # A server's database may be shared with other programs; a file is one program's.
    others = there if connection.dialect.name == "sqlite" else there & set(metadata.tables)
    if others:
        raise StoreError(
            f"{where}: holds another program's tables ({', '.join(sorted(others)[:3])}); "
            "name another database in database.url"
        )


def _upgrade(connection: Connection, url: str, scripts: Path, head: str) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        # A migration that rebuilds a table drops the old one, which would be refused, or cascade.
        # Past SQLAlchemy, which would begin a transaction, where this pragma does nothing.
        _driver(connection).execute("PRAGMA foreign_keys = OFF")
    with connection.begin():
        hold_schema(connection)
        found = read_current_revision(connection)  # another process may have been quicker
        if compare_revision(found, head) is RevisionState.CURRENT:
            return
        if found is not None and (file := find_sqlite_file(url)):
            back_up(file, found, datetime.now(UTC))
        _apply(connection, scripts, head)
        if on_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise StoreError(
                f"{describe_address(url)}: {broken[0]} refers to rows that are not there; restore it"
            )


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _apply(connection: Connection, scripts: Path, head: str) -> None:
    # Here, because it takes longer to import than to find that there is nothing to do.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, head)


def back_up(file: Path, revision: str, now: datetime) -> Path:
    """Copy an SQLite database beside itself, durably, and return the copy."""
    copy = file.with_name(f"{file.name}.backup-{revision}-{now:%Y%m%dT%H%M%S%fZ}")
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        partial.replace(copy)
        sync_path(copy)
        sync_path(copy.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        failure = translate_sqlite_error(str(copy), error) if isinstance(error, sqlite3.Error) else None
        raise failure or StoreError(f"{copy}: the backup failed ({error}); free some space there") from error
    return copy
