"""When a candidate is settled, over everything that can be known of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.fileio import FileIdentity
from worker.inbox.candidates import Candidate, Hint, Inspection, Writer, is_settled, observe_candidate

SETTLE = 2.0
WALL = 1_000_000.0
OLD = FileIdentity(1, 2, 100, int((WALL - 60) * 1e9), 0)
FRESH = replace(OLD, changed_ns=int((WALL - 0.5) * 1e9))
AHEAD = replace(OLD, changed_ns=int((WALL + 3600) * 1e9))

identities = st.builds(
    FileIdentity, st.just(1), st.integers(1, 3), st.integers(0, 3), st.integers(0, 2 * int(WALL * 1e9))
)
inspections = st.builds(Inspection, st.none() | identities, st.sampled_from(Writer))
hints = st.sampled_from(Hint)
times = st.floats(0, 1e7)


def check_settled(
    identity: FileIdentity | None, hint: Hint, writer: Writer, unchanged: float = 0.0, wall: float = WALL
) -> bool:
    candidate = Candidate(hint, identity, 100.0)
    return is_settled(candidate, Inspection(identity, writer), 100.0 + unchanged, wall, SETTLE)


@pytest.mark.parametrize(
    ("identity", "hint", "writer", "unchanged", "expected"),
    [
        (FRESH, Hint.WHOLE, Writer.NONE, 0.0, True),  # closed or renamed in
        (FRESH, Hint.WHOLE, Writer.PRESENT, 99.0, False),
        (FRESH, Hint.WHOLE, Writer.UNKNOWN, 1.9, False),
        (FRESH, Hint.WHOLE, Writer.UNKNOWN, 2.0, True),
        (FRESH, Hint.SEEN, Writer.NONE, 0.0, False),
        (FRESH, Hint.SEEN, Writer.NONE, 2.0, True),
        (OLD, Hint.SEEN, Writer.NONE, 0.0, True),  # lay there before the worker came
        (OLD, Hint.SEEN, Writer.PRESENT, 99.0, False),
        (OLD, Hint.SEEN, Writer.UNKNOWN, 0.0, False),  # its ctime comes from another machine's clock
        (AHEAD, Hint.SEEN, Writer.NONE, 1.9, False),  # our clock was set back
        (AHEAD, Hint.SEEN, Writer.NONE, 2.0, True),
        (AHEAD, Hint.WHOLE, Writer.NONE, 0.0, True),
        (replace(FRESH, size_bytes=0), Hint.WHOLE, Writer.NONE, 0.0, False),  # a placeholder
        (replace(FRESH, size_bytes=0), Hint.WHOLE, Writer.NONE, 2.0, True),
        (None, Hint.WHOLE, Writer.NONE, 99.0, False),
        (None, Hint.SEEN, Writer.UNKNOWN, 99.0, False),
    ],
)
def test_a_candidate_is_settled_once_no_one_writes_it(
    identity: FileIdentity | None, hint: Hint, writer: Writer, unchanged: float, expected: bool
) -> None:
    assert check_settled(identity, hint, writer, unchanged) is expected


@pytest.mark.parametrize("wall", [0.0, WALL - 1e6, WALL + 1e9])
def test_a_wrong_clock_never_keeps_an_unchanged_file_waiting(wall: float) -> None:
    for hint in Hint:
        for writer in (Writer.NONE, Writer.UNKNOWN):
            assert check_settled(FRESH, hint, writer, SETTLE, wall)


@given(st.lists(st.tuples(inspections, hints, st.floats(0, 100)), min_size=1, max_size=8), times, times)
def test_a_candidate_with_a_present_writer_is_never_settled(
    history: list[tuple[Inspection, Hint, float]], now: float, wall: float
) -> None:
    candidate = None
    for inspection, hint, seconds in history:
        now += seconds
        candidate = observe_candidate(candidate, hint, inspection, now)
        if inspection.writer is Writer.PRESENT or inspection.identity is None:
            assert not is_settled(candidate, inspection, now, wall, SETTLE)


@given(st.lists(st.tuples(inspections, st.floats(0, 1.9)), min_size=2, max_size=8), times)
def test_where_writers_are_unknown_only_a_file_that_stays_unchanged_is_settled(
    history: list[tuple[Inspection, float]], now: float
) -> None:
    candidate, unchanged, previous_identity = None, 0.0, None
    for inspection, seconds in history:
        now += seconds
        inspection = replace(inspection, writer=Writer.UNKNOWN)
        is_same = candidate and inspection.identity == previous_identity
        unchanged = unchanged + seconds if is_same else 0.0
        candidate = observe_candidate(candidate, Hint.WHOLE, inspection, now)
        previous_identity = inspection.identity
        if is_settled(candidate, inspection, now, WALL, SETTLE):
            assert unchanged >= SETTLE * 0.999999


def test_a_change_restarts_the_wait() -> None:
    first = observe_candidate(None, Hint.SEEN, Inspection(FRESH, Writer.UNKNOWN), 10.0)
    grown = Inspection(replace(FRESH, size_bytes=200), Writer.UNKNOWN)
    assert observe_candidate(first, Hint.SEEN, grown, 11.5).unchanged_since == 11.5
    assert (
        observe_candidate(first, Hint.SEEN, Inspection(FRESH, Writer.UNKNOWN), 11.5).unchanged_since == 10.0
    )


def test_a_candidate_with_a_writer_is_no_longer_whole() -> None:
    whole = observe_candidate(None, Hint.WHOLE, Inspection(FRESH, Writer.NONE), 10.0)
    assert observe_candidate(whole, Hint.WHOLE, Inspection(FRESH, Writer.PRESENT), 11.0).hint is Hint.SEEN
