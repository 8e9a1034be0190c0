"""When child processes are started again."""

import pytest

from worker.errors import BundleError
from worker.pool.starts import Starts


def test_processes_that_never_start_are_given_up_after_three() -> None:
    starts = Starts()
    for _ in range(2):
        starts.fail("exit status 7", 0.0)
        assert starts.not_before < 0.0
    with pytest.raises(
        BundleError, match=r"^child processes do not start: exit status 7; see moodsort doctor$"
    ):
        starts.fail("exit status 7", 0.0)


def test_a_service_that_was_proven_waits_longer_each_time_says_so_once_and_never_gives_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starts = Starts()
    starts.succeed()
    pauses = []
    for _ in range(20):
        starts.fail("Too many open files", 100.0)
        pauses.append(starts.not_before - 100.0)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == 30.0
    assert [vars(record)["event"] for record in caplog.records] == ["starts_fail"]
    starts.succeed()
    assert starts.not_before < 0.0


def test_a_task_that_is_unfit_at_the_first_start_is_refused_and_later_only_tried_again() -> None:
    starts = Starts()
    with pytest.raises(BundleError, match=r"^the moon is full$"):
        starts.refuse("the moon is full")
    starts.succeed()
    starts.refuse("the moon is full")
