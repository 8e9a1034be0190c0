"""`moodsort db prune`: old rows go to an archive, and nothing is lost on the way."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text

from worker.cli import moodsort
from worker.config import DATABASE_VARIABLE
from worker.errors import Reason, StoreError
from worker.store import Arrival, Store, pruning
from worker.store.engine import connect
from worker.store.pruning import find_old_photos, prune_log
from worker.store.schema import actions, corrections, metadata, photos
from worker.store.times import format_time


@pytest.fixture
def old(store: Store, model: int, work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the log with six photos, one a day, the newest today; the second is still pending."""
    monkeypatch.setattr(pruning, "_SLICE_IDS", 2)
    for day in range(6):
        at = work.now - timedelta(days=5 - day)
        with store.begin_turn() as turn:
            (photo_id,) = turn.take_on([Arrival(Path(f"inbox/{day}.jpg"), 9, at)])
            assert photo_id is not None
            if day != 1:
                reason = Reason.DAMAGED if day == 2 else None
                turn.decide(work.make_decision(photo_id, f"happy/{day}.jpg", reason=reason), model)
                turn.record_filed(photo_id, None, at)


def _dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    with connect(url, 1.0).connect() as connection, connection.begin():
        return {
            table.name: sorted(tuple(map(repr, row)) for row in connection.execute(select(table)))
            for table in metadata.sorted_tables
        }


def _prune(url: str, archive: Path, work: Any, pause: Any = lambda _: None) -> pruning.PruneResult:
    return prune_log(url, find_old_photos(url, work.now - timedelta(days=1, hours=12)), archive, pause)


def test_old_finished_photos_go_with_all_their_rows_and_the_others_stay(
    old: None, database_url: str, tmp_path: Path, work: Any
) -> None:
    before = _dump(database_url)
    archive = tmp_path / "old.db"
    assert _prune(database_url, archive, work) == pruning.PruneResult(pruned=3, changed=0)
    archived, left = _dump(f"sqlite:///{archive}"), _dump(database_url)
    assert {row[0] for row in archived["photos"]} == {"1", "3", "4"}
    assert {row[0] for row in left["photos"]} == {"2", "5", "6"}
    assert archived["models"] == left["models"] == before["models"]
    for name in ("photos", "predictions", "moves", "actions"):
        assert sorted(archived[name] + left[name]) == before[name]
    assert len(archived["actions"]) == len(archived["moves"]) == 3
    assert len(archived["predictions"]) == 2


def test_corrections_and_the_actions_that_undo_others_go_along(
    old: None, database_url: str, tmp_path: Path, work: Any
) -> None:
    with connect(database_url, 1.0).begin() as connection:
        correction = {"photo_id": 1, "label": "sad", "origin": "command", "corrected_at": work.now}
        connection.execute(corrections.insert(), correction)
        undo = {"kind": "undo", "origin": "command", "asked_at": work.now, "photos": 1}
        connection.execute(actions.insert(), undo)
        connection.execute(text("UPDATE actions SET undone_by = (SELECT max(id) FROM actions) WHERE id = 1"))
    _prune(database_url, tmp_path / "old.db", work)
    archived = _dump(f"sqlite:///{tmp_path / 'old.db'}")
    assert len(archived["corrections"]) == 1
    assert len(archived["actions"]) == 4
    assert _dump(database_url)["corrections"] == []


def test_the_archive_is_a_log_of_its_own(
    old: None, database_url: str, tmp_path: Path, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prune(database_url, tmp_path / "old.db", work)
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{tmp_path / 'old.db'}")
    result = CliRunner().invoke(moodsort, ["log", "1", "--format", "json"])
    assert result.exception is None
    assert '"path": "happy/0.jpg"' in result.stdout


def test_a_row_that_changes_after_it_was_archived_stays_in_the_log(
    old: None, store: Store, database_url: str, tmp_path: Path, work: Any
) -> None:
    is_second_slice = iter([False, True])

    def pause(_: float) -> None:
        if next(is_second_slice, False):  # photo 4 has just been copied
            with store.begin_turn() as turn:
                turn.mark_missing([4])

    result = _prune(database_url, tmp_path / "old.db", work, pause)
    assert result == pruning.PruneResult(pruned=2, changed=1)
    assert "4" in {row[0] for row in _dump(database_url)["photos"]}


def test_nothing_is_deleted_before_the_archive_is_durable(
    old: None, database_url: str, tmp_path: Path, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    before = _dump(database_url)
    monkeypatch.setattr("worker.store.backup.sync_path", fail)
    with pytest.raises(StoreError, match="cannot be written"):
        _prune(database_url, tmp_path / "old.db", work)
    assert _dump(database_url) == before
    assert list(tmp_path.glob("*old*")) == []


def test_what_stops_the_deletion_loses_nothing_and_the_rest_goes_the_next_time(
    old: None, database_url: str, tmp_path: Path, work: Any
) -> None:
    before = _dump(database_url)

    def stop(_: float) -> None:
        if (tmp_path / "first.db").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _prune(database_url, tmp_path / "first.db", work, stop)
    assert _prune(database_url, tmp_path / "second.db", work).pruned == 2
    rows = {
        row
        for url in (database_url, f"sqlite:///{tmp_path / 'first.db'}", f"sqlite:///{tmp_path / 'second.db'}")
        for row in _dump(url)["photos"]
    }
    assert sorted(rows) == before["photos"]


def test_a_worker_writes_between_the_slices(
    old: None, store: Store, database_url: str, tmp_path: Path, work: Any
) -> None:
    names = iter(range(100))
    _prune(database_url, tmp_path / "old.db", work, lambda _: work.take_on(store, f"inbox/n{next(names)}"))
    with connect(database_url, 1.0).begin() as connection:
        new = photos.c.name.like("n%")
        assert len(connection.execute(select(photos.c.id).where(new)).all()) == next(names)


def _invoke(url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Result:
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    return CliRunner().invoke(moodsort, ["db", "prune", *map(str, arguments)])


def test_a_dry_run_counts_and_makes_nothing(
    old: None, database_url: str, tmp_path: Path, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _dump(database_url)
    moment = format_time(work.now - timedelta(days=1, hours=12))
    options = ("--older-than", moment, "--archive", tmp_path / "old.db")
    result = _invoke(database_url, monkeypatch, *options, "--dry-run")
    assert ": 3 photos that came before" in result.stderr
    assert not (tmp_path / "old.db").exists()
    assert _dump(database_url) == before
    result = _invoke(database_url, monkeypatch, *options)
    assert "moved the rows of 3 photos" in result.stdout


def test_an_archive_never_replaces_a_file(
    old: None, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.db").write_bytes(b"mine")
    result = _invoke(database_url, monkeypatch, "--older-than", "1s", "--archive", tmp_path / "old.db")
    assert "is there already" in str(result.exception)
    assert (tmp_path / "old.db").read_bytes() == b"mine"
