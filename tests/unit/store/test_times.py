from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.store.times import format_time, parse_time

_moments = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.timezones()
)


def test_a_time_is_written_in_utc() -> None:
    moment = datetime(2026, 3, 1, 2, 0, 0, 5000, tzinfo=timezone(timedelta(hours=3)))
    assert format_time(moment) == "2026-02-28T23:00:00.005Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        format_time(datetime(2026, 3, 1))


@given(_moments, _moments)
def test_times_sort_as_text_as_they_do_as_times(first: datetime, second: datetime) -> None:
    texts = format_time(first), format_time(second)
    assert len(texts[0]) == len(texts[1])
    if first.astimezone(UTC) < second.astimezone(UTC):
        assert texts[0] <= texts[1]


@given(_moments)
def test_a_time_comes_back_to_the_millisecond(moment: datetime) -> None:
    lost = moment.astimezone(UTC) - parse_time(format_time(moment))
    assert timedelta(0) <= lost < timedelta(milliseconds=1)
