import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from worker.errors import MoodsortError, Reason, StoreError, Transient
from worker.inference.prediction import FacePrediction, Prediction
from worker.store import Arrival, Store, open_store
from worker.store.filters import Filters
from worker.store.query import (
    COLUMNS,
    CORRECTION_COLUMNS,
    PREDICTION_COLUMNS,
    Group,
    RowOrder,
    Tally,
    open_log,
)
from worker.store.schema import corrections, predictions
from worker.store.sqlite import sqlite3

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

# Each an hour later than the one before it: source, label, confidence, reason.
PHOTOS = (
    ("inbox/Été.JPG", "happy", 0.9, None),
    ("inbox/img_1.png", "sad", 0.6, None),
    ("inbox/imgx1.png", "happy", 0.7, None),
    ("inbox/broken.jpg", None, None, Reason.DAMAGED),
    ("inbox/new.jpg", None, None, None),
)


@pytest.fixture
def filled_url(store: Store, database_url: str, work: Any) -> str:
    """Fill the log with `PHOTOS`, ids 1 to 5; a person has corrected the third from happy to sad."""
    model = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    for number, (source, label, confidence, reason) in enumerate(PHOTOS):
        with store.begin_turn() as turn:
            (photo_id,) = turn.take_on([Arrival(Path(source), 9, NOW + timedelta(hours=number))])
            if label or reason:
                decision = work.make_decision(
                    photo_id, label=label or "happy", confidence=confidence or 0.0, reason=reason
                )
                turn.decide(replace(decision, folder="quarantine" if reason else label), model)
                turn.record_filed(photo_id, None, NOW)
    with store.begin_turn() as turn:
        row = {
            "photo_id": 3,
            "label": "sad",
            "previous_label": "happy",
            "origin": "command",
            "corrected_at": NOW,
        }
        turn._connection.execute(insert(corrections).values(row))
    return database_url


def _read_ids(
    url: str, filters: Filters, order: RowOrder = RowOrder.OLDEST, limit: int | None = None
) -> list[int]:
    with open_log(url) as log:
        return [row["id"] for row in log.read_rows(filters, order, limit)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [1, 2, 3, 4, 5]),
        (Filters(labels=("happy",)), [1]),
        (Filters(labels=("sad",)), [2, 3]),
        (Filters(labels=("sad", "happy")), [1, 2, 3]),
        (Filters(statuses=("quarantined", "pending")), [4, 5]),
        (Filters(folders=("happy",)), [1, 3]),
        (Filters(reasons=("damaged",)), [4]),
        (Filters(since=NOW + timedelta(hours=1), until=NOW + timedelta(hours=3)), [2, 3]),
        (Filters(min_confidence=0.7), [1, 3]),
        (Filters(max_confidence=0.7), [2, 3]),
        (Filters(name="IMG"), [2, 3]),
        (Filters(name="img_1"), [2]),
        (Filters(name="img?1.*"), [2, 3]),
        (Filters(name="*.jpg"), [1, 4, 5]),
        (Filters(name="éTÉ"), [1]),
        (Filters(model="SMALL@"), [1, 2, 3]),
        (Filters(labels=("sad",), max_confidence=0.65), [2]),
    ],
)
def test_filters_select_what_a_person_means(filled_url: str, filters: Filters, expected: list[int]) -> None:
    assert _read_ids(filled_url, filters) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (RowOrder.NEWEST, [5, 4, 3, 2, 1]),
        (RowOrder.OLDEST, [1, 2, 3, 4, 5]),
        (RowOrder.HIGHEST, [1, 3, 2, 5, 4]),
        (RowOrder.LOWEST, [2, 3, 1, 5, 4]),
    ],
)
def test_rows_without_a_confidence_come_last_by_confidence(
    filled_url: str, order: RowOrder, expected: list[int]
) -> None:
    assert _read_ids(filled_url, Filters(), order) == expected
    assert _read_ids(filled_url, Filters(), order, limit=2) == expected[:2]


def test_a_row_has_the_views_columns_in_order(filled_url: str) -> None:
    with open_log(filled_url) as log:
        (row,) = log.read_rows(Filters(reasons=("damaged",)), RowOrder.NEWEST, None)
        (predicted,) = log.read_rows(Filters(labels=("happy",)), RowOrder.NEWEST, None)
    assert tuple(row) == COLUMNS
    assert (row["label"], row["probabilities"], row["model"]) == (None, None, None)
    assert predicted["probabilities"] == {"happy": 0.9, "sad": pytest.approx(0.1)}


def test_a_photo_is_read_with_every_prediction_and_correction_the_newest_first(
    store: Store, filled_url: str
) -> None:
    face = FacePrediction(1.0, 2.0, 30.0, 40.0, 0.9, "sad", {"happy": 0.2, "sad": 0.8})
    _add_prediction(store, photo_id=3, prediction=Prediction("sad", 0.8, {"happy": 0.2, "sad": 0.8}, (face,)))
    with open_log(filled_url) as log:
        photo = log.read_photo(3)
    assert photo is not None
    assert [photo[name] for name in ("id", "label", "corrected_label", "attempts")] == [3, "sad", "sad", 1]
    newest, oldest = photo["predictions"]
    assert tuple(newest) == PREDICTION_COLUMNS
    assert (newest["model"], newest["label"], newest["faces"]) == ("other@bbb", "sad", [face.to_dict()])
    assert (oldest["model"], oldest["label"], oldest["faces"]) == ("small@aaa", "happy", None)
    (correction,) = photo["corrections"]
    assert tuple(correction) == CORRECTION_COLUMNS
    assert (correction["label"], correction["origin"]) == ("sad", "command")


def _add_prediction(store: Store, photo_id: int, prediction: Prediction) -> None:
    row = {
        "photo_id": photo_id,
        "model_id": store.use_model("other", "bbb", ["happy", "sad"], [], NOW),
        "label": prediction.label,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
        "faces": prediction.faces_to_dicts(),
        "predicted_at": NOW,
    }
    with store.begin_turn() as turn:
        turn._connection.execute(insert(predictions).values(row))


def test_a_photo_that_the_log_does_not_have_is_none(filled_url: str) -> None:
    with open_log(filled_url) as log:
        assert log.read_photo(6) is None
        assert log.read_photo(2**63 - 1) is None


def test_more_rows_than_are_fetched_at_once_keep_their_order(
    store: Store, database_url: str, work: Any
) -> None:
    work.take_on(store, *(f"inbox/{number}.jpg" for number in range(1001)))
    ids = _read_ids(database_url, Filters(), RowOrder.NEWEST)
    assert len(ids) == 1001
    assert ids == sorted(ids, reverse=True)


def test_a_slow_reader_holds_no_lock(sqlite_url: str, work: Any) -> None:
    store = open_store(sqlite_url, lock_seconds=0)
    work.take_on(store, *(f"inbox/{number}.jpg" for number in range(600)))
    with open_log(sqlite_url) as log:
        rows = log.read_rows(Filters(), RowOrder.NEWEST, None)
        next(rows)
        assert None not in work.take_on(store, "inbox/while-read.jpg")
        assert len(list(rows)) == 599
    store.close()


def test_tallies_count_each_group(filled_url: str) -> None:
    with open_log(filled_url) as log:
        by_label = log.count_groups(Filters(), (Group.LABEL,))
        overview = log.count_groups(Filters(since=NOW + timedelta(hours=3)), (Group.LABEL, Group.STATUS))
    counts = {tally.keys: (tally.photos, tally.predicted, tally.corrected) for tally in by_label}
    assert counts == {("happy",): (1, 1, 0), ("sad",): (2, 2, 1), (None,): (2, 0, 0)}
    means = {tally.keys[0]: tally.mean_confidence for tally in by_label}
    assert means == {"happy": pytest.approx(0.9), "sad": pytest.approx(0.65), None: None}
    assert {tally.keys for tally in overview} == {(None, "quarantined"), (None, "pending")}


@pytest.fixture
def kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")  # UTC+05:45
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_days_are_those_of_the_local_time_zone(kathmandu: None, store: Store, database_url: str) -> None:
    midnight = datetime(2026, 3, 1, 18, 15, tzinfo=UTC)
    moments = (midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=20))
    with store.begin_turn() as turn:
        turn.take_on([Arrival(Path(f"inbox/{index}.jpg"), 9, moment) for index, moment in enumerate(moments)])
    with open_log(database_url) as log:
        days = log.count_days(Filters())
    assert days == [Tally(("2026-03-01",), 1, 0, 0, 0.0), Tally(("2026-03-02",), 2, 0, 0, 0.0)]


def _expect_refusal(url: str) -> MoodsortError:
    with pytest.raises(MoodsortError) as raised, open_log(url):
        pass
    assert "\n" not in str(raised.value)
    return raised.value


def test_a_missing_log_is_refused_and_not_created(sqlite_url: str) -> None:
    assert "is not there yet; start the worker" in str(_expect_refusal(sqlite_url))
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_a_database_without_a_log_is_refused(postgres_url: str) -> None:
    assert "holds no log yet" in str(_expect_refusal(postgres_url))


@pytest.mark.parametrize(
    ("revision", "words"), [("0000", "run `moodsort db upgrade`"), ("0099", "upgrade moodsort")]
)
def test_a_log_of_another_revision_is_refused_with_the_remedy(
    store: Store, database_url: str, revision: str, words: str
) -> None:
    with store.begin_turn() as turn:
        turn._connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    refusal = _expect_refusal(database_url)
    assert isinstance(refusal, StoreError)
    assert words in str(refusal)


def test_a_log_that_a_killed_worker_left_half_written_is_refused_with_the_remedy(
    sqlite_url: str, tmp_path: Path
) -> None:
    open_store(sqlite_url).close()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    _leave_a_hot_journal(file, tmp_path)
    assert "`moodsort db upgrade`" in str(_expect_refusal(sqlite_url))
    open_store(sqlite_url).close()
    assert _read_ids(sqlite_url, Filters()) == []


def test_a_reader_does_not_stop_the_worker(sqlite_url: str, work: Any) -> None:
    store = open_store(sqlite_url, lock_seconds=0)
    work.take_on(store, "inbox/a.jpg")
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM photos").fetchone() == (1,)
        work.take_on(store, "inbox/b.jpg")
        assert reader.execute("SELECT count(*) FROM photos").fetchone() == (1,)
    store.close()


def _leave_a_hot_journal(file: Path, tmp_path: Path) -> None:
    """Leave the file and its journal as a kill in the middle of a commit does."""
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = delete")
        writer.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("CREATE TABLE half (content TEXT)")
        writer.executemany("INSERT INTO half VALUES (?)", [("x" * 4000,)] * 50)
        journal = file.with_name(f"{file.name}-journal")
        contents = {path: path.read_bytes() for path in (file, journal)}
        writer.execute("ROLLBACK")
    for path, content in contents.items():
        path.write_bytes(content)


def test_an_unreachable_server_is_named_without_the_password(tmp_path: Path) -> None:
    refusal = _expect_refusal(f"postgresql://ann:secret@/moods?host={tmp_path}")
    assert isinstance(refusal, Transient)
    assert "secret" not in str(refusal)
