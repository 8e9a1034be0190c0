"""Two workers on one inbox, over PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.home import wait_until
from worker.errors import Transient
from worker.store import Store, Unfinished, open_store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def first(postgres_url: str) -> Iterator[Store]:
    store = open_store(postgres_url, lock_seconds=0.1)
    yield store
    store.close()


@pytest.fixture
def second(first: Store, postgres_url: str) -> Iterator[Store]:
    store = open_store(postgres_url, lock_seconds=0.1)
    yield store
    store.close()


def _take_over(store: Store) -> list[Unfinished]:
    """Wait for the server to end the session of a worker that has gone; return what that had in hand."""
    rows: list[Unfinished] = []
    wait_until(lambda: rows.extend(store.take_unfinished()) or rows)
    return rows


def _end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _count_locks(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        ).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_only_postgresql_shares_an_inbox(first: Store, sqlite_url: str) -> None:
    sqlite_store = open_store(sqlite_url)
    sqlite_store.close()
    assert first.shares_inbox
    assert not sqlite_store.shares_inbox


def test_a_photo_in_the_hands_of_one_worker_is_refused_to_the_other(
    first: Store, second: Store, work: Any
) -> None:
    (photo_id,) = work.take_on(first, "inbox/a.jpg")
    assert photo_id is not None
    assert work.take_on(second, "inbox/a.jpg") == [None]
    assert second.take_unfinished() == []


def test_a_worker_that_dies_leaves_its_photos_to_the_other(first: Store, second: Store, work: Any) -> None:
    (photo_id,) = work.take_on(first, "inbox/a.jpg")
    first.close()
    assert [row.photo_id for row in _take_over(second)] == [photo_id]


def test_a_photo_that_was_taken_over_is_not_offered_to_a_third(
    first: Store, second: Store, postgres_url: str, work: Any
) -> None:
    work.take_on(first, "inbox/a.jpg")
    first.close()
    _take_over(second)
    third = open_store(postgres_url)
    rows = third.take_unfinished()
    third.close()
    assert rows == []


def test_every_lock_is_released_when_its_photo_is_finished(
    first: Store, postgres_url: str, work: Any
) -> None:
    model = first.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    filed, missing = work.take_on(first, "inbox/a.jpg", "inbox/b.jpg")
    assert _count_locks(postgres_url) == 2
    with first.begin_turn() as turn:
        turn.decide(work.make_decision(filed), model)
        turn.record_filed(filed, None, NOW)
        turn.record_missing(missing, "gone", NOW)
    assert _count_locks(postgres_url) == 0


def test_a_turn_that_fails_keeps_no_lock(first: Store, postgres_url: str, work: Any) -> None:
    def fail() -> None:
        with first.begin_turn() as turn:
            work.take_on_in(turn, "inbox/a.jpg")
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        fail()
    assert _count_locks(postgres_url) == 0


def test_a_lost_connection_is_reported_and_never_replaced_without_its_locks(
    first: Store, postgres_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(first, "inbox/a.jpg")
    _end_connections(postgres_url)
    for _ in range(2):
        with pytest.raises(Transient, match="the connection was lost"):
            work.take_on(first, "inbox/b.jpg")
    again = open_store(postgres_url)
    rows = _take_over(again)
    again.close()
    assert [row.photo_id for row in rows] == [photo_id]


def test_a_wait_for_the_other_worker_ends_as_transient(first: Store, second: Store, work: Any) -> None:
    def take_on_twice() -> None:
        with first.begin_turn() as turn:
            work.take_on_in(turn, "inbox/a.jpg")
            work.take_on(second, "inbox/a.jpg")

    with pytest.raises(Transient, match="locked by another program"):
        take_on_twice()
