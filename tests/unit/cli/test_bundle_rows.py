"""What people read about a bundle."""

from datetime import UTC, datetime

import pytest

from worker.cli.bundle_rows import flatten, parse_creation


def test_the_creation_of_a_bundle_is_a_time_for_people() -> None:
    moment = parse_creation("2026-11-25T03:10:59+00:00")
    assert moment == datetime(2026, 11, 25, 3, 10, 59, tzinfo=UTC)
    assert list(flatten({"created_at": moment})) == [("created_at", moment)]


@pytest.mark.parametrize("text", ["", "last summer"])
def test_a_creation_that_is_no_time_is_shown_as_it_is(text: str) -> None:
    assert parse_creation(text) == text
