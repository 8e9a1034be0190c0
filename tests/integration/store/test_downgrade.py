"""The way back from each migration, and up again: the rows that both sides know stay."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from click.testing import CliRunner
from sqlalchemy import inspect, text

from tests.home import Home
from worker.cli import moodsort
from worker.config import load_config
from worker.daemon.locks import hold_locks
from worker.errors import InboxInUse, Reason, StoreError
from worker.inference.prediction import FacePrediction, Prediction
from worker.store import Decision, open_store
from worker.store.engine import connect
from worker.store.read_connection import read_revision
from worker.store.revision import HEAD
from worker.store.upgrade import (
    _begin_migration,
    _make_alembic_config,
    downgrade_schema,
    find_migrations_folder,
    list_losses,
    upgrade_schema,
)

REVISIONS = [f"{number:04}" for number in range(1, int(HEAD))]

_QUERY = """\
SELECT photos.id, photos.path, photos.status, photos.sha256, photos.filed_at, predictions.label,
predictions.confidence, predictions.faces
FROM photos LEFT JOIN predictions ON photo_id = photos.id ORDER BY 1"""


def _fill(url: str, work: Any) -> None:
    store = open_store(url)
    model = store.use_model("small", "aaa", ["happy", "sad"], [], work.now)
    filed, unsure, broken, _ = work.take_on(store, *(f"inbox/{name}.jpg" for name in "abcd"))
    probabilities = {"happy": 0.75, "sad": 0.25}
    face = FacePrediction(1.0, 2.0, 3.0, 4.0, 0.5, "happy", probabilities)
    with_face = Prediction("happy", 0.75, probabilities, (face,))
    decisions: tuple[Decision, ...] = (
        replace(work.make_decision(filed, "happy/a.jpg"), prediction=with_face),
        work.make_decision(unsure, "review/b.jpg", reason=Reason.NO_FACE),
        work.make_decision(broken, "quarantine/c.jpg", reason=Reason.DAMAGED),
    )
    for row in decisions:
        with store.begin_turn() as turn:
            turn.decide(row, model)
            turn.record_filed(row.photo_id, None, work.now)
    store.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_down_and_up_again_keeps_what_both_revisions_know(
    database_url: str, revision: str, work: Any
) -> None:
    _fill(database_url, work)
    before = work.query(database_url, _QUERY)
    downgrade_schema(connect(database_url, 1.0), database_url, revision)
    assert read_revision(database_url) == revision
    open_store(database_url).close()
    assert read_revision(database_url) == HEAD
    assert work.query(database_url, _QUERY) == before
    reasons = work.query(database_url, "SELECT reason FROM photos ORDER BY id")
    in_review = "no_face" if revision >= "0003" else "unsure"
    assert reasons == [(None,), (in_review,), ("damaged",), (None,)]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_schema_that_was_taken_back_is_the_one_that_its_migrations_make(
    tmp_path: Path, revision: str, work: Any
) -> None:
    url, reference_url = (f"sqlite:///{tmp_path / name}.db" for name in ("down", "up"))
    _fill(url, work)
    downgrade_schema(connect(url, 1.0), url, revision)
    upgrade_schema(connect(reference_url, 1.0), reference_url, head=revision)
    assert _read_schema(url) == _read_schema(reference_url)


def _read_schema(url: str) -> dict[str, Any]:
    with connect(url, 1.0).connect() as connection, connection.begin():
        inspector = inspect(connection)
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        columns = {name: {column["name"] for column in inspector.get_columns(name)} for name in names}
        checks = {
            check["name"]: check["sqltext"]
            for name in inspector.get_table_names()
            for check in inspector.get_check_constraints(name)
        }
        indexes = {index["name"] for name in names for index in inspector.get_indexes(name)}
    return {"columns": columns, "checks": checks, "indexes": indexes}


def test_the_first_migration_has_a_way_back_too(database_url: str, work: Any) -> None:
    _fill(database_url, work)
    with connect(database_url, 1.0).connect() as connection:
        with _begin_migration(connection, database_url):
            command.downgrade(_make_alembic_config(connection, find_migrations_folder()), "base")
        with connection.begin():
            assert inspect(connection).get_table_names() == ["alembic_version"]


def test_every_migration_says_what_its_way_back_loses() -> None:
    losses = list_losses(HEAD, "0001", "log.db")
    assert [loss[:6] for loss in losses] == [f"{int(revision) + 1:04}: " for revision in reversed(REVISIONS)]
    assert all(loss[6:].startswith("Lose ") for loss in losses)


@pytest.mark.parametrize("revision", [HEAD, "0099", "base", "0000", "head"])
def test_a_revision_that_is_not_an_older_one_is_refused(database_url: str, revision: str, work: Any) -> None:
    _fill(database_url, work)
    with pytest.raises(StoreError, match=r"cannot go back to revision .*; name one of: 0001, 0002"):
        downgrade_schema(connect(database_url, 1.0), database_url, revision)
    assert read_revision(database_url) == HEAD


def test_a_servers_database_is_not_taken_back_under_another_worker(postgres_url: str) -> None:
    other = open_store(postgres_url)
    with pytest.raises(StoreError, match="stop every worker first"):
        downgrade_schema(connect(postgres_url, 1.0), postgres_url, "0003")
    other.close()
    assert read_revision(postgres_url) == HEAD


def test_the_command_backs_up_says_what_is_lost_and_refuses_while_a_worker_runs(
    home: Home, work: Any
) -> None:
    _fill(home.database_url, work)
    arguments = ["db", "downgrade", "0003", "--config", str(home.config)]
    with hold_locks(load_config(home.config)):
        refused = CliRunner().invoke(moodsort, arguments)
    assert isinstance(refused.exception, InboxInUse)
    assert read_revision(home.database_url) == HEAD
    result = CliRunner().invoke(moodsort, arguments)
    assert result.exception is None
    assert "history of moves" in result.stderr
    assert read_revision(home.database_url) == "0003"
    (copy,) = home.folder.glob(f"*.backup-{HEAD}-*")
    with connect(f"sqlite:///{copy}", 1.0).connect() as connection, connection.begin():
        assert connection.execute(text("SELECT count(*) FROM moves")).scalar_one() == 3
