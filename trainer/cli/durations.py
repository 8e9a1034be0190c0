"""Read durations as people write them."""

import re
from typing import Any

import click

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


class Duration(click.ParamType[float]):
    """A time as 90s, 20m or 1h30m; in seconds, above 0."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):  # click asks types to accept what they have converted
            return value
        match = _DURATION.fullmatch(value.strip())
        seconds = 0.0
        if match:
            counts = match.groups("0")
            seconds = sum(float(count) * unit for count, unit in zip(counts, _UNITS.values(), strict=True))
        if seconds <= 0:
            self.fail(f"{value!r} is not a time above 0; write 90s, 20m or 1h30m", param, ctx)
        return seconds
