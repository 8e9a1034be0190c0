"""What is left to do with a decided photo after a crash, over every state of the two paths."""

from itertools import product

import pytest

from worker.fileio import FileIdentity
from worker.filing import PathState, RecoveryAction, plan_recovery

DECIDED, OTHER = "d" * 64, "e" * 64
NOTHING = PathState(None, None)
FIRST, SECOND = FileIdentity(1, 10, 5, 1_000, 900), FileIdentity(1, 11, 5, 1_000, 900)

SOURCES = {"nothing": NOTHING, "decided": PathState(FIRST, DECIDED), "other": PathState(FIRST, OTHER)}
DESTINATIONS = {
    "nothing": NOTHING,
    "same inode": None,  # that of the source, whatever it holds
    "decided": PathState(SECOND, DECIDED),
    "other": PathState(SECOND, OTHER),
}

EXPECTED = {
    ("nothing", "nothing"): RecoveryAction.MISSING,
    ("nothing", "decided"): RecoveryAction.RECORD,
    ("nothing", "other"): RecoveryAction.MISSING,
    ("decided", "nothing"): RecoveryAction.MOVE,
    ("decided", "same inode"): RecoveryAction.MOVE,
    ("decided", "decided"): RecoveryAction.MOVE,  # copied, and the old name not yet removed
    ("decided", "other"): RecoveryAction.MOVE,  # the name was taken by another: the mover finds out
    ("other", "nothing"): RecoveryAction.PREDICT,
    ("other", "same inode"): RecoveryAction.MOVE,
    ("other", "decided"): RecoveryAction.RECORD,  # copied; then another photo came under its old name
    ("other", "other"): RecoveryAction.PREDICT,
}


@pytest.mark.parametrize(("source", "destination"), EXPECTED)
def test_a_decided_photo_goes_on_from_where_it_was_stopped(source: str, destination: str) -> None:
    source_state = SOURCES[source]
    destination_state = DESTINATIONS[destination] or source_state
    assert plan_recovery(DECIDED, source_state, destination_state) is EXPECTED[source, destination]


@pytest.mark.parametrize(
    ("source", "destination", "action"),
    [
        ("nothing", "nothing", RecoveryAction.MISSING),
        ("nothing", "other", RecoveryAction.RECORD),
        ("other", "nothing", RecoveryAction.MOVE),
        ("other", "same inode", RecoveryAction.MOVE),
        ("other", "other", RecoveryAction.MOVE),
    ],
)
def test_a_photo_that_could_not_be_read_is_known_by_its_path(
    source: str, destination: str, action: RecoveryAction
) -> None:
    source_state = SOURCES[source]
    assert plan_recovery(None, source_state, DESTINATIONS[destination] or source_state) is action


def test_a_photo_is_missing_only_where_its_content_is_at_neither_place() -> None:
    for source, other_state, decided in product(SOURCES.values(), DESTINATIONS.values(), (DECIDED, None)):
        destination = other_state or source
        contents = {source.sha256, destination.sha256} - {None}
        if plan_recovery(decided, source, destination) is RecoveryAction.MISSING:
            assert decided not in contents
            assert source.identity is None


def test_a_photo_is_recorded_only_where_its_destination_holds_it() -> None:
    for source, other_state, decided in product(SOURCES.values(), DESTINATIONS.values(), (DECIDED, None)):
        destination = other_state or source
        if plan_recovery(decided, source, destination) is RecoveryAction.RECORD:
            assert destination.identity is not None
            assert decided in (None, destination.sha256)


def test_a_change_of_ctime_does_not_make_a_hard_link_another_file() -> None:
    later = FileIdentity(FIRST.device, FIRST.inode, FIRST.size_bytes, FIRST.changed_ns + 1, FIRST.modified_ns)
    assert plan_recovery(DECIDED, PathState(later, DECIDED), PathState(FIRST, DECIDED)) is RecoveryAction.MOVE
