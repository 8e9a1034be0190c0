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
def one(postgres_url: str) -> Iterator[Store]:
    opened = open_store(postgres_url, lock_seconds=0.1)
    yield opened
    opened.close()


@pytest.fixture
def other(one: Store, postgres_url: str) -> Iterator[Store]:
    opened = open_store(postgres_url, lock_seconds=0.1)
    yield opened
    opened.close()


def _taken_over(store: Store) -> list[Unfinished]:
    """Wait for the server to end the session of a worker that has gone, and return what that had in hand."""
    found: list[Unfinished] = []
    wait_until(lambda: found.extend(store.unfinished()) or found)
    return found


def _end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _locks(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        ).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_only_postgresql_shares_an_inbox(one: Store, sqlite_url: str) -> None:
    alone = open_store(sqlite_url)
    alone.close()
    assert one.shares_inbox
    assert not alone.shares_inbox


def test_a_photo_in_the_hands_of_one_worker_is_refused_to_the_other(
    one: Store, other: Store, work: Any
) -> None:
    (photo_id,) = work.take_on(one, "inbox/a.jpg")
    assert photo_id is not None
    assert work.take_on(other, "inbox/a.jpg") == [None]
    assert other.unfinished() == []


def test_a_worker_that_dies_leaves_its_photos_to_the_other(one: Store, other: Store, work: Any) -> None:
    (photo_id,) = work.take_on(one, "inbox/a.jpg")
    one.close()
    assert [left.photo_id for left in _taken_over(other)] == [photo_id]


def test_a_photo_that_was_taken_over_is_not_offered_to_a_third(
    one: Store, other: Store, postgres_url: str, work: Any
) -> None:
    work.take_on(one, "inbox/a.jpg")
    one.close()
    _taken_over(other)
    third = open_store(postgres_url)
    left = third.unfinished()
    third.close()
    assert left == []


def test_every_lock_is_released_when_its_photo_is_finished(one: Store, postgres_url: str, work: Any) -> None:
    model = one.use_model("small", "aaa", ["happy", "sad"], [], NOW)
    filed, missing = work.take_on(one, "inbox/a.jpg", "inbox/b.jpg")
    assert _locks(postgres_url) == 2
    with one.turn() as turn:
        turn.decide(work.decision(filed), model)
        turn.record_filed(filed, NOW)
        turn.record_missing(missing, "gone")
    assert _locks(postgres_url) == 0


def test_a_turn_that_fails_keeps_no_lock(one: Store, postgres_url: str, work: Any) -> None:
    def fail() -> None:
        with one.turn() as turn:
            work.take_on_in(turn, "inbox/a.jpg")
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        fail()
    assert _locks(postgres_url) == 0


def test_a_lost_connection_is_said_and_never_mended_behind_the_locks_back(
    one: Store, postgres_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(one, "inbox/a.jpg")
    _end_connections(postgres_url)
    for _ in range(2):
        with pytest.raises(Transient, match="the connection was lost"):
            work.take_on(one, "inbox/b.jpg")
    again = open_store(postgres_url)
    left = _taken_over(again)
    again.close()
    assert [found.photo_id for found in left] == [photo_id]


def test_a_wait_for_the_other_worker_ends_as_transient(one: Store, other: Store, work: Any) -> None:
    def crossed() -> None:
        with one.turn() as turn:
            work.take_on_in(turn, "inbox/a.jpg")
            work.take_on(other, "inbox/a.jpg")

    with pytest.raises(Transient, match="locked by another program"):
        crossed()
