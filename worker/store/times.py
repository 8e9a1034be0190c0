"""The times of the log as text: UTC, ISO 8601, of one width, so that texts sort as the times do."""

from datetime import UTC, datetime


def format_time(moment: datetime) -> str:
    """Return an aware time as ``2026-03-01T12:34:56.789Z``."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """Return the time that `format_time` wrote."""
    return datetime.fromisoformat(text)
