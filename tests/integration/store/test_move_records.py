"""Every change of place is a move of an action: decided before, done or refused after."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from worker.fileio import KnownFile
from worker.store import Arrival, Store, open_store

_MOVES = "SELECT action_id, photo_id, from_path, to_path, state, reason FROM moves ORDER BY id"
_ACTIONS = "SELECT id, kind, origin, photos, ended_at IS NOT NULL FROM actions ORDER BY id"

# Inodes of some file systems, and of some kernels' devices, use all of their 64 bits.
SOURCE = KnownFile(device=2**64 - 1, inode=2**63 + 5, size_bytes=10, modified_ns=1_700_000_000_000_000_123)
ARRIVED = KnownFile(device=2049, inode=7, size_bytes=10, modified_ns=1_700_000_000_000_000_123)


def test_what_is_decided_in_one_turn_is_one_action_that_ends_with_its_last_move(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    first, second = work.take_on(store, "inbox/a.jpg", "inbox/b.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(first, "happy/a.jpg"), model)
        turn.decide(work.make_decision(second, "sad/b.jpg"), model)
    assert work.query(database_url, _ACTIONS) == [(1, "file", "worker", 2, False)]
    assert work.query(database_url, _MOVES) == [
        (1, first, "inbox/a.jpg", "happy/a.jpg", "decided", None),
        (1, second, "inbox/b.jpg", "sad/b.jpg", "decided", None),
    ]
    for photo_id, is_ended in ((first, False), (second, True)):
        with store.begin_turn() as turn:
            turn.record_filed(photo_id, ARRIVED, work.now + timedelta(seconds=photo_id))
        assert work.query(database_url, _ACTIONS) == [(1, "file", "worker", 2, is_ended)]
    assert [state for *_, state, _ in work.query(database_url, _MOVES)] == ["done", "done"]
    times = "SELECT decided_at, done_at FROM moves ORDER BY id"
    assert work.query(database_url, times)[0] == ("2026-03-01T12:00:00.000Z", "2026-03-01T12:00:01.000Z")


def test_a_move_to_another_name_says_where_the_photo_went(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "happy/a.jpg"), model)
        turn.readdress(photo_id, Path("happy/a (2).jpg"))
        turn.record_filed(photo_id, ARRIVED, work.now)
    assert work.query(database_url, _MOVES) == [(1, photo_id, "inbox/a.jpg", "happy/a (2).jpg", "done", None)]


def test_a_decision_that_was_not_carried_out_leaves_a_refused_move(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    changed, gone = work.take_on(store, "inbox/a.jpg", "inbox/b.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(changed, "happy/a.jpg"), model)
        turn.decide(work.make_decision(gone, "happy/b.jpg"), model)
    with store.begin_turn() as turn:
        turn.retry(changed, work.now)
        turn.record_missing(gone, "it went away", work.now)
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(changed, "sad/a.jpg"), model)
    assert work.query(database_url, _MOVES) == [
        (1, changed, "inbox/a.jpg", "happy/a.jpg", "refused", "its file has changed"),
        (1, gone, "inbox/b.jpg", "happy/b.jpg", "refused", "its file has gone"),
        (2, changed, "inbox/a.jpg", "sad/a.jpg", "decided", None),
    ]
    assert [ended for *_, ended in work.query(database_url, _ACTIONS)] == [True, False]


def test_a_row_knows_the_file_that_was_decided_on_and_the_one_that_arrived(
    database_url: str, work: Any
) -> None:
    store = open_store(database_url)
    model = store.use_model("small", "aaa", ["happy", "sad"], [], work.now)
    first, second = work.take_on(store, "inbox/a.jpg", "inbox/b.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(first, "happy/a.jpg", file=SOURCE), model)
        turn.decide(work.make_decision(second, "happy/b.jpg", file=SOURCE), model)
        turn.record_filed(second, ARRIVED, work.now)
    store.close()
    store = open_store(database_url)
    assert [row.file for row in store.take_unfinished()] == [SOURCE]
    assert [photo.file for photo in store.list_filed(None, 10)] == [ARRIVED]
    store.close()


def test_a_photo_that_is_tried_again_forgets_the_file_that_was_decided_on(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, file=SOURCE), model)
        turn.retry(photo_id, work.now)
    query = "SELECT source_device, source_inode, source_mtime_ns FROM photos"
    assert work.query(database_url, query) == [(None, None, None)]


def test_a_turn_without_decisions_is_no_action(store: Store, database_url: str, work: Any) -> None:
    work.take_on(store, "inbox/a.jpg")
    assert work.query(database_url, _ACTIONS) == []


def test_a_photo_is_on_one_way_at_a_time(store: Store, model: int, database_url: str, work: Any) -> None:
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "happy/a.jpg"), model)
    with pytest.raises(Exception, match=r"(?i)unique"), store.begin_turn() as turn:
        turn._moves.decide(photo_id, Path("inbox/a.jpg"), Path("sad/a.jpg"), work.now)
    assert len(work.query(database_url, _MOVES)) == 1


def test_names_that_are_not_utf_8_are_kept_by_their_bytes(
    store: Store, model: int, database_url: str, work: Any
) -> None:
    with store.begin_turn() as turn:
        (photo_id,) = turn.take_on([Arrival(Path("inbox/\udcff.jpg"), 9, work.now)])
        turn.decide(work.make_decision(photo_id, "happy/\udcff.jpg"), model)
    ((source, destination),) = work.query(database_url, "SELECT from_path_raw, to_path_raw FROM moves")
    assert (bytes(source), bytes(destination)) == (b"inbox/\xff.jpg", b"happy/\xff.jpg")
