"""What is left to do with a decided photo after a crash, over every combination of what is found."""

from itertools import product

import pytest

from worker.fileio import FileIdentity
from worker.filing import PathState, RecoveryAction, plan_recovery

DECIDED, OTHER = "d" * 64, "e" * 64
NOTHING = PathState(None, None)
ONE, TWO = FileIdentity(1, 10, 5, 1_000), FileIdentity(1, 11, 5, 1_000)

SOURCES = {"nothing": NOTHING, "decided": PathState(ONE, DECIDED), "other": PathState(ONE, OTHER)}
DESTINATIONS = {
    "nothing": NOTHING,
    "same inode": None,  # the source's own, whatever it holds
    "decided": PathState(TWO, DECIDED),
    "other": PathState(TWO, OTHER),
}

EXPECTED = {
    ("nothing", "nothing"): RecoveryAction.MISSING,
    ("nothing", "decided"): RecoveryAction.RECORD,
    ("nothing", "other"): RecoveryAction.MISSING,
    ("decided", "nothing"): RecoveryAction.MOVE,
    ("decided", "same inode"): RecoveryAction.MOVE,
    ("decided", "decided"): RecoveryAction.MOVE,  # copied, and the old name not yet removed
    ("decided", "other"): RecoveryAction.MOVE,  # the name was taken by another: filing finds out
    ("other", "nothing"): RecoveryAction.JUDGE,
    ("other", "same inode"): RecoveryAction.MOVE,
    ("other", "decided"): RecoveryAction.RECORD,  # copied; then another photo came under the old name
    ("other", "other"): RecoveryAction.JUDGE,
}


@pytest.mark.parametrize(("source", "destination"), EXPECTED)
def test_a_decided_photo_goes_on_from_where_it_was_stopped(source: str, destination: str) -> None:
    found = SOURCES[source]
    there = DESTINATIONS[destination] or found
    assert plan_recovery(DECIDED, found, there) is EXPECTED[source, destination]


@pytest.mark.parametrize(
    ("source", "destination", "left"),
    [
        ("nothing", "nothing", RecoveryAction.MISSING),
        ("nothing", "other", RecoveryAction.RECORD),
        ("other", "nothing", RecoveryAction.MOVE),
        ("other", "same inode", RecoveryAction.MOVE),
        ("other", "other", RecoveryAction.MOVE),
    ],
)
def test_a_photo_that_could_not_be_read_is_known_by_its_path(
    source: str, destination: str, left: RecoveryAction
) -> None:
    found = SOURCES[source]
    assert plan_recovery(None, found, DESTINATIONS[destination] or found) is left


def test_a_photo_is_missing_only_where_its_content_is_at_neither_place() -> None:
    for source, there, decided in product(SOURCES.values(), DESTINATIONS.values(), (DECIDED, None)):
        destination = there or source
        held = {source.sha256, destination.sha256} - {None}
        if plan_recovery(decided, source, destination) is RecoveryAction.MISSING:
            assert decided not in held
            assert source.identity is None


def test_a_photo_is_recorded_only_where_its_destination_holds_it() -> None:
    for source, there, decided in product(SOURCES.values(), DESTINATIONS.values(), (DECIDED, None)):
        destination = there or source
        if plan_recovery(decided, source, destination) is RecoveryAction.RECORD:
            assert destination.identity is not None
            assert decided in (None, destination.sha256)


def test_a_change_of_ctime_does_not_make_a_hard_link_another_file() -> None:
    later = FileIdentity(ONE.device, ONE.inode, ONE.size_bytes, ONE.changed_ns + 1)
    assert plan_recovery(DECIDED, PathState(later, DECIDED), PathState(ONE, DECIDED)) is RecoveryAction.MOVE
