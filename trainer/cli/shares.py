"""Read what share of a whole is meant, as people write it."""

import re
from typing import Any

import click

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")


class Share(click.ParamType[float]):
    """A percentage as 10 or 10%; 0 to 1."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share, 0 to 1."""
        if isinstance(value, float):
            return value
        found = _SHARE.fullmatch(value.strip())
        percent = float(found[1]) if found else -1.0
        if not found or percent > 100:
            self.fail(f"{value!r} is no percentage; write 10%", param, ctx)
        if 0 < percent < 1 and not found[2]:
            self.fail(f"{value!r} may be {percent:g}% or {percent:.0%}; write it with the sign", param, ctx)
        return percent / 100
