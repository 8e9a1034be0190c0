"""Parse a moment as people type it: a date, a time, or how long ago."""

import re
from datetime import datetime, time, timedelta

from worker.errors import ConfigError

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdwy])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def parse_start(text: str, now: datetime) -> datetime:
    """Parse a moment; a date stands for the start of its day.

    A date or time without an offset is local. Raises ConfigError where the text is neither.
    """
    return _parse(text, now)[0]


def parse_end(text: str, now: datetime) -> datetime:
    """Parse a moment; a date stands for the end of its day. Otherwise as `parse_start`."""
    moment, is_day = _parse(text, now)
    if not is_day:
        return moment
    # Without the offset, which changes at the end of some days.
    return _make_local(moment.replace(tzinfo=None) + timedelta(days=1))


def _parse(text: str, now: datetime) -> tuple[datetime, bool]:
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            return now - float(ago[1]) * _UNITS[ago[2]], False
        if _TIME.fullmatch(text):
            clock_time = time.fromisoformat(text if text[1] != ":" else f"0{text}")
            return _make_local(datetime.combine(now.astimezone().date(), clock_time)), False
        moment = datetime.fromisoformat(text)
        return _make_local(moment), bool(_DATE.fullmatch(text))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{text!r} is not a date or time; write 2026-03-01, '2026-03-01 14:30', 14:30, 2h, 3d or 1y"
        ) from error


def _make_local(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.astimezone()
