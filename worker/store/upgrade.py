"""Bring the schema of a database up to date or back, or refuse one that this program is too old for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from worker.errors import StoreError
from worker.store.address import describe_address, find_sqlite_file
from worker.store.backup import back_up_beside
from worker.store.journal import set_journal_mode
from worker.store.locks import lock_schema
from worker.store.revision import HEAD, RevisionState, compare_revision, make_newer_revision_error
from worker.store.schema import metadata
from worker.store.sqlite import sqlite3

if TYPE_CHECKING:
    from alembic.config import Config

_COUNT_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name = 'moodsort' AND pid <> pg_backend_pid()"
)


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
    with _begin_migration(connection, url):
        revision = read_current_revision(connection)  # another process may have been faster
        if compare_revision(revision, head) is RevisionState.CURRENT:
            return
        _back_up(url, revision)
        # Imported here: it takes longer than to see that there is nothing to upgrade.
        from alembic import command

        command.upgrade(_make_alembic_config(connection, scripts), head)


def downgrade_schema(engine: Engine, url: str, revision: str) -> None:
    """Take back the migrations after a revision, in one transaction; an SQLite file is backed up first.

    What `list_losses` names is lost. No worker may be running. Raises StoreError where the revision is not
    older than that of the database, or where others are connected to a server's.
    """
    from alembic import command

    with engine.connect() as connection, _begin_migration(connection, url):
        list_losses(read_current_revision(connection), revision, describe_address(url))
        _refuse_others(connection, describe_address(url))
        _back_up(url, read_current_revision(connection))
        command.downgrade(_make_alembic_config(connection, find_migrations_folder()), revision)


def list_losses(current: str | None, revision: str, where: str) -> list[str]:
    """Return what a database loses on its way back to a revision, a sentence for each migration.

    Raises StoreError where the revision is not an older one.
    """
    from alembic.script import ScriptDirectory

    if compare_revision(current) is RevisionState.NEWER:
        raise make_newer_revision_error(where, current)
    scripts = list(ScriptDirectory(str(find_migrations_folder())).walk_revisions())
    if current is None or revision >= current or revision not in {script.revision for script in scripts}:
        older = ", ".join(sorted(script.revision for script in scripts if script.revision < (current or "")))
        raise StoreError(f"{where}: cannot go back to revision {revision}; name one of: {older or 'none'}")
    return [
        f"{script.revision}: {script.module.downgrade.__doc__}"
        for script in scripts
        if revision < script.revision <= current
    ]


@contextmanager
def _begin_migration(connection: Connection, url: str) -> Iterator[None]:
    """Begin a transaction in which migrations may rebuild tables; references are checked at its end."""
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        # A migration that rebuilds a table drops the old one, which references to it would prevent.
        # SQLAlchemy would begin a transaction, in which this pragma does nothing.
        _get_driver(connection).execute("PRAGMA foreign_keys = OFF")
    with connection.begin():
        lock_schema(connection)
        yield
        # While the checks are off, SQLite lets dangling references pass, and does not look for them later.
        if on_sqlite and (violation := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise StoreError(
                f"{describe_address(url)}: {violation[0]} refers to rows that are missing; restore a backup"
            )


def _back_up(url: str, revision: str | None) -> None:
    if revision is not None and (file := find_sqlite_file(url)):
        # In the transaction: nobody can write between the backup and the migration.
        back_up_beside(file, revision, datetime.now(UTC))


def _refuse_others(connection: Connection, where: str) -> None:
    # Workers on other machines hold no lock file here.
    if connection.dialect.name == "postgresql" and connection.execute(_COUNT_OTHERS).scalar_one():
        raise StoreError(f"{where}: others are connected to it; stop every worker first")


def _get_driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _make_alembic_config(connection: Connection, scripts: Path) -> "Config":
    from alembic.config import Config

    config = Config()
    # Alembic interpolates % in its options.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
