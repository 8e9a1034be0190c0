"""Read percentages as people write them."""

import re
from typing import Any

import click

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")


class Share(click.ParamType[float]):
    """A percentage as 10 or 10%; 0 to 1."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share, 0 to 1."""
        if isinstance(value, float):  # click asks types to accept what they have converted
            return value
        match = _SHARE.fullmatch(value.strip())
        percent = float(match[1]) if match else -1.0
        if not match or percent > 100:
            self.fail(f"{value!r} is not a percentage; write 10%", param, ctx)
        # 0.1 is how others write 10%: nobody's test set shall be a hundred times too small by that.
        if 0 < percent < 1 and not match[2]:
            self.fail(f"{value!r} may be {percent:g}% or {percent:.0%}; write it with the sign", param, ctx)
        return percent / 100
