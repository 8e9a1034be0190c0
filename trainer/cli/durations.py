"""Read how long something may take, as people write it."""

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
        if isinstance(value, float):
            return value
        found = _DURATION.fullmatch(value.strip())
        seconds = 0.0
        if found:
            seconds = sum(
                float(count) * unit for count, unit in zip(found.groups("0"), _UNITS.values(), strict=True)
            )
        if seconds <= 0:
            self.fail(f"{value!r} is no time above 0; write 90s, 20m or 1h30m", param, ctx)
        return seconds
