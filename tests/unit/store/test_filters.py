from datetime import UTC, datetime

import pytest

from worker.store.filters import Filters, build_where, make_like_pattern


def test_without_filters_there_is_no_condition() -> None:
    assert build_where(Filters()) == ("", ())


def test_values_of_one_field_are_alternatives_and_fields_are_combined() -> None:
    clause, parameters = build_where(Filters(statuses=("filed", "missing"), folders=("happy",)))
    assert clause == " WHERE status IN (?, ?) AND folder IN (?)"
    assert parameters == ("filed", "missing", "happy")


def test_since_is_included_and_until_is_not() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    clause, parameters = build_where(Filters(since=moment, until=moment))
    assert clause == " WHERE received_at >= ? AND received_at < ?"
    assert parameters == ("2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z")


def test_a_confidence_of_zero_is_a_bound() -> None:
    assert build_where(Filters(max_confidence=0.0)) == (" WHERE confidence <= ?", (0.0,))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Beach", "%beach%"),
        ("IMG_1", "%img!_1%"),
        ("100%", "%100!%%"),
        ("a!b", "%a!!b%"),
        ("*.JPG", "%.jpg"),
        ("img_???.png", "img!____.png"),
    ],
)
def test_a_name_is_a_substring_unless_it_is_a_pattern(text: str, pattern: str) -> None:
    assert make_like_pattern(text) == pattern
