"""What becomes of the files whose process has ended."""

import signal
from pathlib import Path

import pytest

from worker.errors import Reason
from worker.pool.protocol import Job
from worker.pool.retries import Cause, Death, Retries, explain_exit

JOB = Job(1, Path("a.jpg"))
CRASH = explain_exit(-signal.SIGSEGV)
KILL = explain_exit(-signal.SIGKILL)


def add(
    retries: Retries, death: Death, now: float = 0.0, *, decoding: bool = True, alone: bool = True
) -> bool:
    return retries.add_suspect(JOB, death, now, is_decoding=decoding, is_alone=alone)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        *((-number, Cause.ITSELF) for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL)),
        *((-number, Cause.ITSELF) for number in (signal.SIGFPE, signal.SIGABRT, signal.SIGSYS)),
        (-signal.SIGPROF, Cause.ITSELF),
        (1, Cause.ITSELF),
        (0, Cause.ITSELF),
        *((-number, Cause.KILL) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)),
        (-signal.SIGRTMIN - 3, Cause.KILL),
    ],
)
def test_only_what_code_brings_upon_itself_is_its_own_death(status: int, cause: Cause) -> None:
    assert explain_exit(status).cause is cause


def test_the_limit_of_processor_time_is_a_timeout() -> None:
    assert explain_exit(-signal.SIGPROF).reason is Reason.DECODE_TIMEOUT


def test_a_file_is_tried_once_more_and_refused_when_it_ends_a_second_process() -> None:
    retries = Retries()
    assert add(retries, CRASH, alone=False)
    assert retries.is_suspect(JOB.key)
    assert retries.take_due(0.0) == JOB
    assert not add(retries, CRASH)
    assert len(retries) == 0


def test_a_kill_from_outside_never_counts_against_a_file_of_a_batch() -> None:
    retries = Retries()
    for _ in range(100):
        assert add(retries, KILL, alone=False)
        assert retries.take_due(0.0) == JOB
    assert add(retries, CRASH, alone=False)


def test_a_crash_before_the_file_was_decoded_does_not_count_as_its_own() -> None:
    retries = Retries()
    for _ in range(10):
        assert add(retries, CRASH, decoding=False, alone=False)


def test_a_file_whose_process_is_killed_again_and_again_alone_waits_longer_and_is_refused_in_the_end() -> (
    None
):
    retries = Retries()
    now, pauses = 0.0, []
    while add(retries, KILL, now):
        assert retries.take_due(now) is None
        pauses.append(retries.next_due() - now)
        now = retries.next_due()
        assert retries.take_due(now) == JOB
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_file_that_was_read_and_keeps_its_process_waiting_waits_up_to_an_hour_and_is_refused() -> None:
    retries = Retries()
    pauses = [retries.add_wait(JOB.key) for _ in range(6)]
    assert pauses == [60.0, 240.0, 960.0, 3600.0, 3600.0, None]
    assert retries.is_suspect(JOB.key)


def test_a_file_that_has_its_result_is_no_suspect_any_more() -> None:
    retries = Retries()
    add(retries, CRASH)
    retries.take_due(0.0)
    retries.forget(JOB.key)
    assert not retries.is_suspect(JOB.key)
    assert add(retries, CRASH)


def test_files_that_only_waited_come_first_in_their_order() -> None:
    retries = Retries()
    others = [Job(key, Path(str(key))) for key in (2, 3)]
    add(retries, CRASH)
    retries.add_blameless(others)
    assert [retries.take_due(0.0) for _ in range(4)] == [*others, JOB, None]
