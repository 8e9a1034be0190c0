"""The filters on the log that a person sets, as conditions on the view."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.store.times import format_time

LABEL = "coalesce(corrected_label, label)"
"""The label of a photo: a person's correction outranks the model's prediction."""

Condition = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Filters:
    """The conditions that a row has to match; an empty field or None sets no condition.

    Several values of one field are alternatives. `since` is inclusive, `until` exclusive; both apply to
    `received_at`. `name` and `model` ignore case: a pattern where they contain `*` or `?`, else a substring.
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
    """Return the WHERE clause, with ``?`` for each parameter, and the parameters; empty without filters."""
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


def _match_pattern(column: str, pattern: str | None) -> list[Condition]:
    # LIKE ignores case on SQLite alone, and there of ASCII letters alone.
    return [] if pattern is None else [(f"lower({column}) LIKE ? ESCAPE '!'", (make_like_pattern(pattern),))]


def make_like_pattern(pattern: str) -> str:
    """Convert a pattern with ``*`` and ``?``, or a substring, to a LIKE pattern with ``!`` as its escape."""
    escaped = "".join(f"!{char}" if char in "!%_" else char for char in pattern.lower())
    if "*" in pattern or "?" in pattern:
        return escaped.replace("*", "%").replace("?", "_")
    return f"%{escaped}%"
