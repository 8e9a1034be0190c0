"""What is left to do with a decided photo after a crash, over every state of the two paths."""

from itertools import product

import pytest

from worker.fileio import FileIdentity
from worker.filing import DecidedFile, PathState, RecoveryAction, plan_recovery

DECIDED, OTHER = "d" * 64, "e" * 64

PHOTO = FileIdentity(device=1, inode=10, size_bytes=5, changed_ns=1_000, modified_ns=900)
NEWCOMER = FileIdentity(device=1, inode=11, size_bytes=5, changed_ns=2_000, modified_ns=1_900)
NEIGHBOUR = FileIdentity(device=1, inode=12, size_bytes=5, changed_ns=3_000, modified_ns=2_900)


def refuse_to_read() -> str:
    raise AssertionError("the whole file was read, though its identity tells")


def hold(identity: FileIdentity | None, sha256: str | None = None) -> PathState:
    """Make the state of a path; without a hash, reading the file would be a waste."""
    return PathState(identity, refuse_to_read if sha256 is None else lambda: sha256)


NOTHING = hold(None)
TOUCHED = FileIdentity(1, 10, 5, 1_500, 1_400)
LINKED = FileIdentity(1, 10, 5, 1_001, 900)
REMOUNTED = FileIdentity(7, 10, 5, 1_000, 900)

# Of a row that knows its file: where the photo is decides; equal contents of other files do not.
BY_IDENTITY = {
    ("nothing", "nothing"): (NOTHING, NOTHING, RecoveryAction.MISSING),
    ("nothing", "photo"): (NOTHING, hold(PHOTO), RecoveryAction.RECORD),
    ("nothing", "photo, touched"): (NOTHING, hold(TOUCHED, DECIDED), RecoveryAction.RECORD),
    ("nothing", "its inode, given away"): (NOTHING, hold(TOUCHED, OTHER), RecoveryAction.MISSING),
    ("nothing", "its copy"): (NOTHING, hold(NEIGHBOUR, DECIDED), RecoveryAction.RECORD),
    ("nothing", "another file"): (NOTHING, hold(NEIGHBOUR, OTHER), RecoveryAction.MISSING),
    ("photo", "nothing"): (hold(PHOTO), NOTHING, RecoveryAction.MOVE),
    ("photo", "photo"): (hold(LINKED), hold(LINKED), RecoveryAction.MOVE),
    ("photo", "an equal file"): (hold(PHOTO), hold(NEIGHBOUR, DECIDED), RecoveryAction.MOVE),
    ("photo", "another file"): (hold(PHOTO), hold(NEIGHBOUR, OTHER), RecoveryAction.MOVE),
    ("photo, remounted", "nothing"): (hold(REMOUNTED), NOTHING, RecoveryAction.MOVE),
    ("photo, touched", "photo, touched"): (hold(TOUCHED), hold(TOUCHED), RecoveryAction.MOVE),
    ("photo, edited or touched", "nothing"): (hold(TOUCHED), NOTHING, RecoveryAction.PREDICT),
    # The same name and the same content came again after the photo had left.
    ("an equal newcomer", "photo"): (hold(NEWCOMER), hold(PHOTO), RecoveryAction.RECORD),
    ("an equal newcomer with its inode", "its copy"): (
        hold(TOUCHED),
        hold(NEIGHBOUR, DECIDED),
        RecoveryAction.RECORD,
    ),
    ("an equal newcomer", "its copy"): (hold(NEWCOMER), hold(NEIGHBOUR, DECIDED), RecoveryAction.RECORD),
    ("a newcomer", "nothing"): (hold(NEWCOMER), NOTHING, RecoveryAction.PREDICT),
    ("a newcomer", "photo"): (hold(NEWCOMER), hold(PHOTO), RecoveryAction.RECORD),
    ("a newcomer", "another file"): (hold(NEWCOMER), hold(NEIGHBOUR, OTHER), RecoveryAction.PREDICT),
}

LARGE = FileIdentity(device=1, inode=20, size_bytes=1 << 38, changed_ns=1_000, modified_ns=900_000_000_000)
LARGE_COPY = FileIdentity(
    device=2, inode=21, size_bytes=1 << 38, changed_ns=9_000, modified_ns=900_000_000_000
)
LARGE_OTHER = FileIdentity(
    device=2, inode=22, size_bytes=1 << 38, changed_ns=9_000, modified_ns=100_000_000_000
)

FIRST, SECOND = PHOTO, NEWCOMER
SOURCES = {"nothing": hold(None, ""), "decided": hold(FIRST, DECIDED), "other": hold(FIRST, OTHER)}
DESTINATIONS = {
    "nothing": hold(None, ""),
    "same inode": None,  # that of the source, whatever it holds
    "decided": hold(SECOND, DECIDED),
    "other": hold(SECOND, OTHER),
}

# Of a row that is older than identities: the contents decide.
BY_CONTENT = {
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


@pytest.mark.parametrize("places", BY_IDENTITY)
def test_a_decided_photo_goes_on_from_where_its_file_is(places: tuple[str, str]) -> None:
    source, destination, action = BY_IDENTITY[places]
    decided = DecidedFile(PHOTO.remember(), DECIDED)
    assert plan_recovery(decided, source, destination) is action


@pytest.mark.parametrize(
    ("destination", "action"),
    [(hold(LARGE_COPY), RecoveryAction.RECORD), (hold(LARGE_OTHER), RecoveryAction.MISSING)],
)
def test_a_large_copy_is_known_by_its_size_and_its_time_without_reading_it(
    destination: PathState, action: RecoveryAction
) -> None:
    assert plan_recovery(DecidedFile(LARGE.remember(), DECIDED), NOTHING, destination) is action


@pytest.mark.parametrize(("source", "destination"), BY_CONTENT)
def test_a_photo_of_an_older_row_goes_on_from_where_its_content_is(source: str, destination: str) -> None:
    source_state = SOURCES[source]
    destination_state = DESTINATIONS[destination] or source_state
    action = plan_recovery(DecidedFile(None, DECIDED), source_state, destination_state)
    assert action is BY_CONTENT[source, destination]


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
    destination_state = DESTINATIONS[destination] or source_state
    assert plan_recovery(DecidedFile(None, None), source_state, destination_state) is action


@pytest.mark.parametrize("file", [None, PHOTO.remember()])
def test_a_photo_is_missing_only_where_its_content_is_at_neither_place(file: None) -> None:
    for source, other_state in product(SOURCES.values(), DESTINATIONS.values()):
        destination = other_state or source
        if plan_recovery(DecidedFile(file, DECIDED), source, destination) is RecoveryAction.MISSING:
            assert DECIDED not in (source.read_sha256(), destination.read_sha256())
            assert source.identity is None


@pytest.mark.parametrize("file", [None, PHOTO.remember()])
def test_a_photo_is_recorded_only_where_its_destination_holds_it(file: None) -> None:
    for source, other_state in product(SOURCES.values(), DESTINATIONS.values()):
        destination = other_state or source
        if plan_recovery(DecidedFile(file, DECIDED), source, destination) is RecoveryAction.RECORD:
            assert destination.identity is not None
            assert destination.read_sha256() == DECIDED
