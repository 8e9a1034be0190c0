"""Which rows of the log a person asks for, as conditions on the view."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.store.times import format_time

LABEL = "coalesce(corrected_label, label)"
"""What a photo shows as far as anyone knows: a person's word before the model's."""

Condition = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a row must match to be listed; what is empty or None asks for nothing.

    Several values of one field are alternatives. `since` is included, `until` is not; both are about
    `received_at`. `name` and `model` match regardless of case: a pattern where they hold `*` or `?`, else
    any part.
    """

    labels: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    name: str | None = None
    model: str | None = None


def build_where(filters: Filters) -> Condition:
    """Return the WHERE clause and its parameters, with ``?`` for each; empty where every row matches."""
    conditions = [
        *_match_any(LABEL, filters.labels),
        *_match_any("status", filters.statuses),
        *_match_any("folder", filters.folders),
        *_match_any("reason", filters.reasons),
        *_compare("received_at >=", filters.since and format_time(filters.since)),
        *_compare("received_at <", filters.until and format_time(filters.until)),
        *_compare("confidence >=", filters.min_confidence),
        *_compare("confidence <=", filters.max_confidence),
        *_match_pattern("name", filters.name),
        *_match_pattern("model", filters.model),
    ]
    if not conditions:
        return "", ()
    parameters = tuple(value for _, values in conditions for value in values)
    return f" WHERE {' AND '.join(sql for sql, _ in conditions)}", parameters


def _match_any(column: str, values: Sequence[str]) -> list[Condition]:
    if not values:
        return []
    return [(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))]


def _compare(comparison: str, value: object) -> list[Condition]:
    return [] if value is None else [(f"{comparison} ?", (value,))]


def _match_pattern(column: str, wanted: str | None) -> list[Condition]:
    return [] if wanted is None else [(f"lower({column}) LIKE ? ESCAPE '!'", (make_like_pattern(wanted),))]


def make_like_pattern(wanted: str) -> str:
    """Return the LIKE pattern, with ``!`` as its escape, of a pattern of ``*`` and ``?`` or of a part."""
    escaped = "".join(f"!{char}" if char in "!%_" else char for char in wanted.lower())
    if "*" in wanted or "?" in wanted:
        return escaped.replace("*", "%").replace("?", "_")
    return f"%{escaped}%"
