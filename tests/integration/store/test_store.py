import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from worker.errors import REVIEW_REASONS, Reason
from worker.inference.prediction import FacePrediction, Prediction
from worker.store import Arrival, Status, Store, open_store
from worker.store.schema import predictions
from worker.store.sqlite import sqlite3

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

names = st.binary(min_size=1, max_size=40).filter(
    lambda name: b"\0" not in name and b"/" not in name and name not in (b".", b"..")
)


def _read_row(work: Any, url: str, columns: str) -> tuple[Any, ...]:
    (row,) = work.query(url, f"SELECT {columns} FROM photos")
    return row


def test_a_photo_that_is_taken_on_is_pending_where_it_came(
    store: Store, database_url: str, work: Any
) -> None:
    assert work.take_on(store, "inbox/trip/a.jpg") == [1]
    columns = "name, source_path, path, source_path_raw, folder, status, size_bytes, attempts, received_at"
    path = "inbox/trip/a.jpg"
    assert _read_row(work, database_url, columns) == (
        "a.jpg", path, path, None, "inbox", "pending", 9, 1, "2026-03-01T12:00:00.000Z",
    )  # fmt: skip


def test_a_path_that_is_in_hand_is_not_taken_on_again(store: Store, work: Any) -> None:
    work.take_on(store, "inbox/b.jpg", "inbox/a.jpg")
    again, new, also_again = work.take_on(store, "inbox/b.jpg", "inbox/c.jpg", "inbox/a.jpg")
    assert (again, also_again) == (None, None)
    assert new is not None


def test_names_that_are_shown_alike_are_two_photos(store: Store, work: Any) -> None:
    odd = os.fsdecode(b"inbox/\xff.jpg")
    ids = work.take_on(store, odd, "inbox/\\xff.jpg")
    assert None not in ids
    assert work.take_on(store, odd, "inbox/\\xff.jpg") == [None, None]


def test_a_path_may_come_again_once_its_photo_is_filed(store: Store, model: int, work: Any) -> None:
    (first,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(first), model)
        turn.record_filed(first, None, NOW)
        (second,) = turn.take_on([Arrival(Path("inbox/a.jpg"), 9, NOW)])
    assert second is not None
    assert second != first


@pytest.mark.parametrize("reason", REVIEW_REASONS)
def test_a_photo_in_review_is_filed_with_its_prediction_and_its_reason(
    store: Store, model: int, database_url: str, work: Any, reason: Reason
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "review/a.jpg", reason=reason), model)
        turn.record_filed(photo_id, None, NOW)
    query = "SELECT path, label, status, reason, detail FROM prediction_log"
    assert work.query(database_url, query) == [
        ("review/a.jpg", "happy", "filed", reason.value, f"it is {reason}")
    ]


def test_the_prediction_of_a_photo_that_went_to_review_is_dropped_with_its_decision(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "review/a.jpg", reason=Reason.UNSURE), model)
        turn.retry(photo_id, NOW)
    assert work.query(database_url, "SELECT count(*) FROM predictions") == [(0,)]


def test_a_decision_is_recorded_with_its_prediction(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "happy/a.jpg"), model)
    columns = "path, folder, label, confidence, status, model, sha256, size_bytes, width, height, decided_at"
    (row,) = work.query(database_url, f"SELECT {columns} FROM prediction_log")
    assert row == (
        "happy/a.jpg", "happy", "happy", 0.9, "decided", "small@ab12cd34ef56",
        "ab" * 32, 10, 4, 3, "2026-03-01T12:00:00.000Z",
    )  # fmt: skip


def test_faces_are_kept_with_their_boxes(store: Store, model: int, work: Any) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    probabilities = {"happy": 0.75, "sad": 0.25}
    face = FacePrediction(1.04, 2.0, 3.5, 4.0, 0.875, "happy", probabilities)
    prediction = Prediction("happy", 0.75, probabilities, (face,))
    decision = replace(work.make_decision(photo_id), prediction=prediction)
    with store.begin_turn() as turn:
        turn.decide(decision, model)
        faces = turn._connection.execute(select(predictions.c.faces)).scalar_one()
    box = [1.0, 2.0, 3.5, 4.0]
    assert faces == [{"box": box, "score": 0.875, "label": "happy", "probabilities": probabilities}]


def test_a_second_decide_does_not_add_a_second_prediction(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "happy/a.jpg"), model)
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "happy/a (2).jpg"), model)
    assert _read_row(work, database_url, "path") == ("happy/a (2).jpg",)
    assert work.query(database_url, "SELECT photo_id, label FROM predictions") == [(photo_id, "happy")]


def test_readdress_changes_only_the_destination(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id), model)
        turn.readdress(photo_id, Path(os.fsdecode(b"happy/\xfe.jpg")))
    assert _read_row(work, database_url, "status, path, path_raw") == (
        "decided",
        "happy/\\xfe.jpg",
        b"happy/\xfe.jpg",
    )


def test_a_photo_without_a_prediction_ends_in_quarantine(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "quarantine/a.jpg", reason=Reason.DAMAGED), model)
        turn.record_filed(photo_id, None, NOW)
    columns = "status, reason, detail, filed_at"
    expected = ("quarantined", "damaged", "it is damaged", "2026-03-01T12:00:00.000Z")
    assert _read_row(work, database_url, columns) == expected
    assert work.query(database_url, "SELECT count(*) FROM predictions") == [(0,)]


def test_a_missing_photo_has_its_cause_as_text_that_both_databases_accept(
    store: Store, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.record_missing(photo_id, "it went \0 away \udcff", NOW)
    assert _read_row(work, database_url, "status, detail") == ("missing", "it went \\x00 away \\udcff")


def test_retry_discards_a_decision_that_was_not_carried_out(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id), model)
        turn.retry(photo_id, NOW)
    columns = "status, path, folder, sha256, width, decided_at, attempts"
    assert _read_row(work, database_url, columns) == ("pending", "inbox/a.jpg", "inbox", None, None, None, 2)
    assert work.query(database_url, "SELECT count(*) FROM predictions") == [(0,)]


def test_retry_of_a_pending_photo_counts_the_attempt(store: Store, database_url: str, work: Any) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.retry(photo_id, NOW)
        turn.retry(photo_id, NOW)
    assert _read_row(work, database_url, "status, attempts") == ("pending", 3)


@pytest.mark.parametrize("method", ["decide", "readdress", "record_filed", "record_missing", "retry"])
def test_a_photo_that_is_not_in_hand_cannot_be_changed(
    store: Store, model: int, work: Any, method: str
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    arguments: dict[str, tuple[Any, ...]] = {
        "decide": (work.make_decision(photo_id), model),
        "readdress": (photo_id, Path("sad/a.jpg")),
        "record_filed": (photo_id, None, NOW),
        "record_missing": (photo_id, "gone", NOW),
        "retry": (photo_id, NOW),
    }
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id), model)
        turn.record_filed(photo_id, None, NOW)
    with pytest.raises(LookupError, match=f"photo {photo_id} is not "), store.begin_turn() as turn:
        getattr(turn, method)(*arguments[method])


def test_a_turn_that_fails_leaves_nothing_behind(store: Store, database_url: str, work: Any) -> None:
    def fail() -> None:
        with store.begin_turn() as turn:
            turn.take_on([Arrival(Path("inbox/a.jpg"), 9, NOW)])
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        fail()
    assert work.query(database_url, "SELECT count(*) FROM photos") == [(0,)]
    assert work.take_on(store, "inbox/a.jpg") != [None]


def test_a_model_has_one_row_for_each_version(store: Store, database_url: str, work: Any) -> None:
    first = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    again = store.use_model("small", "aaa", ["happy", "sad"], [], NOW + timedelta(days=1))
    second = store.use_model("small", "bbb", ["happy", "sad"], {"accuracy": 1.0}, NOW)
    assert first == again != second
    rows = work.query(database_url, "SELECT version, first_used_at FROM models ORDER BY id")
    assert rows == [("aaa", "2026-03-01T12:00:00.000Z"), ("bbb", "2026-03-01T12:00:00.000Z")]


def test_what_a_stopped_worker_left_comes_back_once(database_url: str, work: Any) -> None:
    stopped = open_store(database_url)
    model = stopped.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    pending, decided, filed = work.take_on(stopped, "inbox/p.jpg", "inbox/d.jpg", "inbox/f.jpg")
    with stopped.begin_turn() as turn:
        turn.decide(work.make_decision(decided, "quarantine/d.jpg", reason=Reason.EMPTY), model)
        turn.decide(work.make_decision(filed), model)
        turn.record_filed(filed, None, NOW)
    assert stopped.take_unfinished() == []
    stopped.close()

    started = open_store(database_url)
    rows = {row.photo_id: row for row in started.take_unfinished()}
    assert started.take_unfinished() == []
    started.close()
    assert set(rows) == {pending, decided}
    assert rows[pending].status is Status.PENDING
    assert rows[pending].source == Path("inbox/p.jpg")
    assert rows[pending].destination is None
    assert rows[decided].status is Status.DECIDED
    assert rows[decided].destination == Path("quarantine/d.jpg")
    assert rows[decided].sha256 == "ab" * 32
    assert rows[decided].reason is Reason.EMPTY
    assert rows[decided].attempts == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=names, destination=names)
def test_any_name_comes_back_byte_for_byte(
    database_url: str, work: Any, source: bytes, destination: bytes
) -> None:
    store = open_store(database_url)
    model = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    (photo_id,) = work.take_on(store, Path(os.fsdecode(b"inbox/" + source)))
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, os.fsdecode(b"happy/" + destination)), model)
    store.close()
    store = open_store(database_url)
    (row,) = store.take_unfinished()
    with store.begin_turn() as turn:
        turn.record_filed(photo_id, None, NOW)
    store.close()
    assert os.fsencode(row.source) == b"inbox/" + source
    assert row.destination is not None
    assert os.fsencode(row.destination) == b"happy/" + destination


@pytest.mark.parametrize("confidence", [-0.1, 1.1])
def test_a_confidence_out_of_range_is_refused_by_the_database(
    store: Store, model: int, work: Any, confidence: float
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with pytest.raises(IntegrityError, match="ck_predictions_confidence"), store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, confidence=confidence), model)


def test_an_sqlite_log_is_durable_and_keeps_its_references(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    values = {
        pragma: store._connection.connection.execute(f"PRAGMA {pragma}").fetchone()[0]  # type: ignore[attr-defined]
        for pragma in ("synchronous", "foreign_keys", "busy_timeout")
    }
    store.close()
    assert values == {"synchronous": 3, "foreign_keys": 1, "busy_timeout": 10_000}


def test_the_log_reads_well_with_sqlite_alone(sqlite_url: str, work: Any) -> None:
    store = open_store(sqlite_url)
    model = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id), model)
    store.close()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        query = "SELECT name, label, confidence, probabilities FROM prediction_log"
        rows = connection.execute(query).fetchall()
    assert rows == [("a.jpg", "happy", 0.9, '{"happy": 0.9, "sad": 0.09999999999999998}')]
