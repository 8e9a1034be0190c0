"""How long a worker waits between its tries of a locked database, and what it logs."""

import logging

import pytest

from worker.daemon.lock_wait import LockWait
from worker.errors import Locked

LOCKED = Locked("moodsort.db: is locked")


def test_the_pauses_grow_up_to_a_limit_and_end_with_the_lock() -> None:
    wait = LockWait()
    pauses = []
    for _ in range(8):
        wait.fail(LOCKED, 100.0)
        pauses.append(round(wait.not_before - 100.0, 3))
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    wait.succeed()
    assert wait.not_before < 0


def test_a_collision_is_not_logged_and_a_long_wait_is_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wait = LockWait()
    wait.fail(LOCKED, 0.0)
    wait.succeed()
    assert caplog.records == []
    for _ in range(20):
        wait.fail(LOCKED, 0.0)
    assert wait.is_long
    wait.succeed()
    assert [record.event for record in caplog.records] == ["locked", "unlocked"]  # type: ignore[attr-defined]
    assert not wait.is_long
