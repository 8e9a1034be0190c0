"""What is left to do with a decided photo after a crash, over every combination of what is found."""

from itertools import product

import pytest

from worker.fileio import Identity
from worker.filing import Next, Trace, what_is_next

DECIDED, OTHER = "d" * 64, "e" * 64
NOTHING = Trace(None, None)
ONE, TWO = Identity(1, 10, 5, 1_000), Identity(1, 11, 5, 1_000)

SOURCES = {"nothing": NOTHING, "decided": Trace(ONE, DECIDED), "other": Trace(ONE, OTHER)}
DESTINATIONS = {
    "nothing": NOTHING,
    "same inode": None,  # the source's own, whatever it holds
    "decided": Trace(TWO, DECIDED),
    "other": Trace(TWO, OTHER),
}

EXPECTED = {
    ("nothing", "nothing"): Next.MISSING,
    ("nothing", "decided"): Next.RECORD,
    ("nothing", "other"): Next.MISSING,
    ("decided", "nothing"): Next.MOVE,
    ("decided", "same inode"): Next.MOVE,
    ("decided", "decided"): Next.MOVE,  # copied, and the old name not yet removed
    ("decided", "other"): Next.MOVE,  # the name was taken by another: filing finds out
    ("other", "nothing"): Next.JUDGE,
    ("other", "same inode"): Next.MOVE,
    ("other", "decided"): Next.RECORD,  # copied; then another photo came under the old name
    ("other", "other"): Next.JUDGE,
}


@pytest.mark.parametrize(("source", "destination"), EXPECTED)
def test_a_decided_photo_goes_on_from_where_it_was_stopped(source: str, destination: str) -> None:
    found = SOURCES[source]
    there = DESTINATIONS[destination] or found
    assert what_is_next(DECIDED, found, there) is EXPECTED[source, destination]


@pytest.mark.parametrize(
    ("source", "destination", "left"),
    [
        ("nothing", "nothing", Next.MISSING),
        ("nothing", "other", Next.RECORD),
        ("other", "nothing", Next.MOVE),
        ("other", "same inode", Next.MOVE),
        ("other", "other", Next.MOVE),
    ],
)
def test_a_photo_that_could_not_be_read_is_known_by_its_path(
    source: str, destination: str, left: Next
) -> None:
    found = SOURCES[source]
    assert what_is_next(None, found, DESTINATIONS[destination] or found) is left


def test_a_photo_is_missing_only_where_its_content_is_at_neither_place() -> None:
    for source, there, decided in product(SOURCES.values(), DESTINATIONS.values(), (DECIDED, None)):
        destination = there or source
        held = {source.sha256, destination.sha256} - {None}
        if what_is_next(decided, source, destination) is Next.MISSING:
            assert decided not in held
            assert source.identity is None


def test_a_photo_is_recorded_only_where_its_destination_holds_it() -> None:
    for source, there, decided in product(SOURCES.values(), DESTINATIONS.values(), (DECIDED, None)):
        destination = there or source
        if what_is_next(decided, source, destination) is Next.RECORD:
            assert destination.identity is not None
            assert decided in (None, destination.sha256)


def test_a_change_of_ctime_does_not_make_a_hard_link_another_file() -> None:
    later = Identity(ONE.device, ONE.inode, ONE.size_bytes, ONE.changed_ns + 1)
    assert what_is_next(DECIDED, Trace(later, DECIDED), Trace(ONE, DECIDED)) is Next.MOVE
