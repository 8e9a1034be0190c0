import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from worker.cli.moments import parse_end, parse_start
from worker.errors import ConfigError

NOW = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _make_utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("90 s", timedelta(seconds=90)),
        ("1.5h", timedelta(hours=1.5)),
        ("2w", timedelta(weeks=2)),
        ("2y", timedelta(days=730)),
        ("15m", timedelta(minutes=15)),
    ],
)
def test_a_number_with_a_unit_is_that_long_ago(text: str, ago: timedelta) -> None:
    assert parse_start(text, NOW) == parse_end(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", _make_utc(2, 28, 23)),
        ("2026-07-01", _make_utc(6, 30, 22)),
        ("2026-03-01 14:30", _make_utc(3, 1, 13, 30)),
        ("2026-07-01T14:30", _make_utc(7, 1, 12, 30)),
        ("2026-03-01T14:30Z", _make_utc(3, 1, 14, 30)),
        ("2026-03-01T14:30+05:00", _make_utc(3, 1, 9, 30)),
        ("14:30", _make_utc(3, 1, 13, 30)),
        ("9:30", _make_utc(3, 1, 8, 30)),
    ],
)
def test_a_date_or_time_without_an_offset_is_local(text: str, moment: datetime) -> None:
    assert parse_start(text, NOW) == moment


def test_until_a_date_includes_its_day() -> None:
    assert parse_end("2026-03-01", NOW) == _make_utc(3, 1, 23)


def test_the_day_on_which_clocks_change_ends_at_midnight() -> None:
    assert parse_end("2026-03-29", NOW) == _make_utc(3, 29, 22)


def test_until_a_time_is_that_time() -> None:
    assert parse_end("2026-03-01 14:30", NOW) == _make_utc(3, 1, 13, 30)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25:00", "2x", "99999999999w", "-3d"])
def test_an_invalid_moment_is_a_usage_error(text: str) -> None:
    with pytest.raises(ConfigError, match="not a date or time"):
        parse_start(text, NOW)
