"""The migrations: what they create, what they keep, and when they are refused."""

import errno
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from worker.errors import StoreError
from worker.store import backup, open_store
from worker.store.engine import connect, translate_errors
from worker.store.query import COLUMNS
from worker.store.revision import HEAD
from worker.store.schema import PREDICTION_LOG, metadata
from worker.store.sqlite import sqlite3
from worker.store.upgrade import find_migrations_folder, read_current_revision, upgrade_schema

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

_FOLLOWING_REVISION = f"{int(HEAD) + 1:04}"

_FOLLOWING_MIGRATION = '''
"""Rebuild photos with one more column."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"

def upgrade():
    op.execute("DROP VIEW prediction_log")
    rebuild = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("photos", recreate=rebuild) as photos:
        photos.add_column(sa.Column("stars", sa.Integer))
    {fault}
'''


@pytest.fixture
def filled_url(database_url: str, work: Any) -> str:
    store = open_store(database_url)
    model = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    photo_id, _ = work.take_on(store, "inbox/a.jpg", "inbox/b.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id), model)
        turn.record_filed(photo_id, None, NOW)
    store.close()
    return database_url


def _add_migration(tmp_path: Path, fault: str = "pass") -> Path:
    """Return a copy of the migrations with one more after the newest."""
    scripts = tmp_path / "migrations of 100%"
    shutil.copytree(find_migrations_folder(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / f"{_FOLLOWING_REVISION}_stars.py").write_text(
        _FOLLOWING_MIGRATION.format(fault=fault, revision=_FOLLOWING_REVISION, head=HEAD)
    )
    return scripts


def _upgrade(url: str, scripts: Path) -> None:
    with translate_errors(url):
        upgrade_schema(connect(url, 1.0), url, scripts, head=_FOLLOWING_REVISION)


def _read_revision(url: str) -> str | None:
    with connect(url, 1.0).connect() as connection, connection.begin():
        return read_current_revision(connection)


def _list_backups(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("*backup*"))


def test_the_newest_migration_is_the_one_that_the_store_expects() -> None:
    scripts = ScriptDirectory(str(find_migrations_folder()))
    assert scripts.get_current_head() == HEAD
    numbers = [script.revision for script in scripts.walk_revisions()]
    assert numbers == sorted(numbers, reverse=True)
    assert all(len(number) == 4 and number.isdecimal() for number in numbers)


def test_the_tables_are_those_that_the_code_describes(database_url: str) -> None:
    open_store(database_url).close()
    with connect(database_url, 1.0).connect() as connection, connection.begin():
        migrated = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(migrated, metadata) == []


def _read_checks(connection: Connection) -> dict[str, set[str | None]]:
    inspector = inspect(connection)
    return {
        table: {check["name"] for check in inspector.get_check_constraints(table)}
        for table in metadata.tables
    }


def _read_partial_indexes(connection: Connection) -> dict[str, str]:
    dialect = connection.dialect.name
    return {
        str(index["name"]): str(index["dialect_options"][f"{dialect}_where"])
        for index in inspect(connection).get_indexes("photos")
        if index.get("dialect_options", {}).get(f"{dialect}_where") is not None
    }


def test_checks_and_partial_indexes_are_those_that_the_code_describes(database_url: str) -> None:
    """Compare what Alembic does not, names and texts, with tables that are created from the description."""
    open_store(database_url).close()
    with connect(database_url, 1.0).connect() as connection, connection.begin():
        migrated = _read_checks(connection), _read_partial_indexes(connection)
        connection.execute(text("DROP VIEW prediction_log"))
        metadata.drop_all(connection)
        metadata.create_all(connection)
        described = _read_checks(connection), _read_partial_indexes(connection)
    assert migrated == described
    assert migrated[0]["photos"] == {"ck_photos_status", "ck_photos_reason"}
    assert set(migrated[1]) == {"uq_photos_active_source_path", "uq_photos_active_source_path_raw"}


def test_the_view_is_the_one_that_the_code_describes(database_url: str) -> None:
    open_store(database_url).close()
    definition = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'view'",
        "postgresql": "SELECT pg_get_viewdef('prediction_log')",
    }
    with connect(database_url, 1.0).connect() as connection, connection.begin():
        query = text(definition[connection.dialect.name])
        columns = tuple(column["name"] for column in inspect(connection).get_columns("prediction_log"))
        migrated = connection.execute(query).scalar_one()
        connection.execute(text("DROP VIEW prediction_log"))
        connection.execute(text(PREDICTION_LOG))
        described = connection.execute(query).scalar_one()
    assert columns == COLUMNS
    assert migrated == described


def test_an_empty_database_is_set_up_without_a_backup(database_url: str, tmp_path: Path) -> None:
    open_store(database_url).close()
    assert _read_revision(database_url) == HEAD
    assert _list_backups(tmp_path) == []


def test_a_database_that_is_up_to_date_is_left_alone(filled_url: str, work: Any, tmp_path: Path) -> None:
    open_store(filled_url).close()
    assert work.query(filled_url, "SELECT count(*) FROM photos") == [(2,)]
    assert _list_backups(tmp_path) == []


def test_an_upgrade_keeps_every_row_and_every_constraint(filled_url: str, tmp_path: Path) -> None:
    query = text(
        "SELECT name, status, label FROM photos LEFT JOIN predictions ON photo_id = photos.id ORDER BY 1"
    )
    _upgrade(filled_url, _add_migration(tmp_path))
    with connect(filled_url, 1.0).connect() as connection, connection.begin():
        rows = connection.execute(query).all()
        checks, partial_indexes = _read_checks(connection), _read_partial_indexes(connection)
        newest_column = inspect(connection).get_columns("photos")[-1]["name"]
    assert [tuple(row) for row in rows] == [("a.jpg", "filed", "happy"), ("b.jpg", "pending", None)]
    assert checks["photos"] == {"ck_photos_status", "ck_photos_reason"}
    assert len(partial_indexes) == 2
    assert newest_column == "stars"
    assert _read_revision(filled_url) == _FOLLOWING_REVISION


def test_an_sqlite_file_is_backed_up_before_it_is_upgraded(
    sqlite_url: str, tmp_path: Path, work: Any
) -> None:
    store = open_store(sqlite_url)
    work.take_on(store, "inbox/a.jpg")
    store.close()
    _upgrade(sqlite_url, _add_migration(tmp_path))
    (backup,) = _list_backups(tmp_path)
    assert backup.name.startswith(f"moodsort.db.backup-{HEAD}-")
    assert work.query(f"sqlite:///{backup}", "SELECT name FROM photos") == [("a.jpg",)]


def test_a_migration_that_fails_changes_nothing(filled_url: str, work: Any, tmp_path: Path) -> None:
    scripts = _add_migration(tmp_path, fault="raise RuntimeError('halfway')")
    with pytest.raises(RuntimeError, match="halfway"):
        _upgrade(filled_url, scripts)
    assert _read_revision(filled_url) == HEAD
    assert work.query(filled_url, "SELECT name FROM prediction_log ORDER BY 1") == [("a.jpg",), ("b.jpg",)]


def test_a_migration_that_breaks_a_reference_is_undone(sqlite_url: str, tmp_path: Path, work: Any) -> None:
    store = open_store(sqlite_url)
    model = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id), model)
    store.close()
    with pytest.raises(StoreError, match="refers to rows that are missing"):
        _upgrade(sqlite_url, _add_migration(tmp_path, fault="op.execute('DELETE FROM photos')"))
    assert _read_revision(sqlite_url) == HEAD


@pytest.mark.parametrize("revision", ["0099", "ab12cd34ef56"])
def test_a_newer_database_is_refused_and_left_alone(filled_url: str, revision: str, tmp_path: Path) -> None:
    with connect(filled_url, 1.0).connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
    with pytest.raises(StoreError, match=f"newer moodsort .revision {revision}.*; upgrade moodsort"):
        open_store(filled_url)
    assert _read_revision(filled_url) == revision
    assert _list_backups(tmp_path) == []


def test_a_backup_that_cannot_be_written_stops_the_upgrade(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(sqlite_url).close()
    scripts = _add_migration(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backup, "rename_without_replacing", refuse)
    with pytest.raises(StoreError, match="cannot be written"):
        _upgrade(sqlite_url, scripts)
    assert _read_revision(sqlite_url) == HEAD
    assert _list_backups(tmp_path) == []
    assert list(tmp_path.glob(".*partial*")) == []


def test_a_file_in_the_mode_of_a_newer_sqlite_is_taken_over(sqlite_url: str) -> None:
    open_store(sqlite_url).close()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    open_store(sqlite_url).close()
    assert _read_revision(sqlite_url) == HEAD
