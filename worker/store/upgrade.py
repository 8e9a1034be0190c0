"""Bring the schema of a database up to date, or refuse one that this program is too old for."""

from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from worker.errors import StoreError
from worker.fileio import sync_path
from worker.store.address import describe_address, find_sqlite_file
from worker.store.database_errors import translate_sqlite_error
from worker.store.journal import set_journal_mode
from worker.store.locks import lock_schema
from worker.store.revision import HEAD, RevisionState, compare_revision, make_newer_revision_error
from worker.store.schema import metadata
from worker.store.sqlite import sqlite3


def find_migrations_folder() -> Path:
    """Return the folder of the migrations that are installed with this program."""
    spec = find_spec("migrations")
    if spec is None or spec.origin is None:
        raise StoreError("migrations: the package is missing; install moodsort again")
    return Path(spec.origin).parent


def upgrade_schema(engine: Engine, url: str, scripts: Path | None = None, head: str = HEAD) -> None:
    """Apply the missing migrations in one transaction; an SQLite file that holds a log is backed up first.

    Raises StoreError where the database is newer than this program or belongs to another program.
    """
    with engine.connect() as connection:
        with connection.begin():
            revision = read_current_revision(connection)
            state = compare_revision(revision, head)
            if state is RevisionState.NEWER:
                raise make_newer_revision_error(describe_address(url), revision, head)
            if state is RevisionState.EMPTY:
                _refuse_foreign(connection, describe_address(url))
            if state is RevisionState.CURRENT:
                _verify_writable(connection)
        # Not before: another program's database is left as it is.
        if file := find_sqlite_file(url):
            set_journal_mode(_get_driver(connection), file, describe_address(url))
        if state is not RevisionState.CURRENT:
            _upgrade(connection, url, scripts or find_migrations_folder(), head)


def read_current_revision(connection: Connection) -> str | None:
    """Return the revision of the database, or None where it holds no log yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _verify_writable(connection: Connection) -> None:
    # SQLite opens a file that it cannot write, and even begins a transaction for writing in it.
    connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _refuse_foreign(connection: Connection, where: str) -> None:
    tables = set(inspect(connection).get_table_names())
    # A database on a server may be shared with other programs, as long as the names of tables do not collide.
    foreign = tables if connection.dialect.name == "sqlite" else tables & set(metadata.tables)
    if foreign:
        raise StoreError(
            f"{where}: holds another program's tables ({', '.join(sorted(foreign)[:3])}); "
            "name another database in database.url"
        )


def _upgrade(connection: Connection, url: str, scripts: Path, head: str) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        # A migration that rebuilds a table drops the old one, which references to it would prevent.
        # SQLAlchemy would begin a transaction, in which this pragma does nothing.
        _get_driver(connection).execute("PRAGMA foreign_keys = OFF")
    with connection.begin():
        lock_schema(connection)
        revision = read_current_revision(connection)  # another process may have been faster
        if compare_revision(revision, head) is RevisionState.CURRENT:
            return
        if revision is not None and (file := find_sqlite_file(url)):
            # In the transaction: nobody can write between the backup and the migration.
            back_up(file, revision, datetime.now(UTC))
        _run_migrations(connection, scripts, head)
        # While the checks are off, SQLite lets dangling references pass, and does not look for them later.
        if on_sqlite and (violation := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise StoreError(
                f"{describe_address(url)}: {violation[0]} refers to rows that are missing; restore a backup"
            )


def _get_driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _run_migrations(connection: Connection, scripts: Path, head: str) -> None:
    # Imported here: it takes longer than to see that there is nothing to upgrade.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic interpolates % in its options.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, head)


def back_up(file: Path, revision: str, now: datetime) -> Path:
    """Copy an SQLite database to a new file beside it, durably, and return the path of the copy.

    Raises StoreError or Transient; no incomplete copy is left then.
    """
    copy = file.with_name(f"{file.name}.backup-{revision}-{now:%Y%m%dT%H%M%S%fZ}")
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
            # Not a copy of the file, which would lack what is in the journal or the write-ahead log.
            source.backup(target)
        partial.replace(copy)
        sync_path(copy)
        sync_path(copy.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        failure = translate_sqlite_error(str(copy), error) if isinstance(error, sqlite3.Error) else None
        raise failure or StoreError(f"{copy}: the backup failed ({error}); free some space there") from error
    return copy
