"""Read the log without standing in the worker's way."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from worker.store.filters import LABEL, Filters, build_where
from worker.store.read_connection import ReadConnection, open_read_connection
from worker.store.times import parse_time

COLUMNS = (
    "id",
    "name",
    "folder",
    "path",
    "source_path",
    "label",
    "confidence",
    "probabilities",
    "status",
    "reason",
    "detail",
    "corrected_label",
    "model",
    "sha256",
    "size_bytes",
    "width",
    "height",
    "received_at",
    "decided_at",
    "filed_at",
)
"""The view's columns, in its order."""

_ROWS_AT_ONCE = 500

_QUARTER = timedelta(minutes=15)
"""Every time zone's days begin at a multiple of this."""


class RowOrder(StrEnum):
    """Which rows come first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    HIGHEST = "highest"
    LOWEST = "lowest"


_ORDER_BY = {
    RowOrder.NEWEST: "id DESC",
    RowOrder.OLDEST: "id",
    RowOrder.HIGHEST: "confidence IS NULL, confidence DESC, id DESC",
    RowOrder.LOWEST: "confidence IS NULL, confidence, id DESC",
}


class Group(StrEnum):
    """What `LogConfig.tallies` counts by."""

    LABEL = "label"
    STATUS = "status"
    MODEL = "model"
    REASON = "reason"


_GROUPED = {
    Group.LABEL: LABEL,
    Group.STATUS: "status",
    Group.MODEL: "model",
    Group.REASON: "reason",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many photos are in a group, how many of them were judged and corrected, and their confidence."""

    keys: tuple[str | None, ...]
    photos: int
    judged: int
    corrected: int
    confidence_sum: float

    @property
    def mean_confidence(self) -> float | None:
        """The mean confidence of the judged photos, None where none was."""
        return self.confidence_sum / self.judged if self.judged else None


class PredictionLog:
    """The log as people query it; no query outlasts the call that makes it."""

    def __init__(self, reader: ReadConnection) -> None:
        self._reader = reader

    def rows(self, filters: Filters, order: RowOrder, limit: int | None) -> Iterator[dict[str, Any]]:
        """Yield the matching rows of the view, at most `limit`.

        Their ids are found first and the rows fetched some at a time, so that a reader that is slow to
        take them keeps no lock.
        """
        condition, parameters = build_where(filters)
        query = f"SELECT id FROM prediction_log{condition} ORDER BY {_ORDER_BY[order]}"  # noqa: S608
        if limit is not None:
            query, parameters = f"{query} LIMIT ?", (*parameters, limit)
        ids = [row[0] for row in self._reader.query(query, parameters)]
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            yield from self._fetched(ids[start : start + _ROWS_AT_ONCE])

    def tallies(self, filters: Filters, groups: Sequence[Group]) -> list[Tally]:
        """Count the matching rows by the groups, the largest first."""
        keys = [_GROUPED[group] for group in groups]
        return sorted(self._counted(filters, keys), key=lambda tally: -tally.photos)

    def tallies_by_day(self, filters: Filters) -> list[Tally]:
        """Count the matching rows by the day they came, in the local time zone, the earliest first."""
        quarter = "substr(received_at, 1, 14) || (CAST(substr(received_at, 15, 2) AS INTEGER) / 15)"
        days: dict[date, Tally] = {}
        for tally in self._counted(filters, [quarter]):
            (key,) = tally.keys
            assert key is not None
            day = _parse_quarter(key).astimezone().date()
            days[day] = _add_tallies(tally, days[day]) if day in days else tally
        return [
            Tally((day.isoformat(),), tally.photos, tally.judged, tally.corrected, tally.confidence_sum)
            for day, tally in sorted(days.items())
        ]

    def _fetched(self, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        marks = ", ".join("?" * len(ids))
        query = f"SELECT {', '.join(COLUMNS)} FROM prediction_log WHERE id IN ({marks})"  # noqa: S608
        found = {row[0]: row for row in self._reader.query(query, tuple(ids))}
        for photo_id in ids:
            row = dict(zip(COLUMNS, found[photo_id], strict=True))
            if isinstance(row["probabilities"], str):  # SQLite keeps JSON as text
                row["probabilities"] = json.loads(row["probabilities"])
            yield row

    def _counted(self, filters: Filters, keys: Sequence[str]) -> list[Tally]:
        condition, parameters = build_where(filters)
        counts = "count(*), count(confidence), count(corrected_label), coalesce(sum(confidence), 0.0)"
        numbers = ", ".join(str(index + 1) for index in range(len(keys)))
        query = f"SELECT {', '.join(keys)}, {counts} FROM prediction_log{condition} GROUP BY {numbers}"  # noqa: S608
        size = len(keys)
        return [Tally(tuple(row[:size]), *row[size:]) for row in self._reader.query(query, parameters)]


@contextmanager
def open_log(url: str) -> Iterator[PredictionLog]:
    """Open the log for reading alone.

    Raises StoreError where there is none yet, where its schema is older or newer than this program's, and
    where it is damaged; Transient where it is locked or unreachable.
    """
    with open_read_connection(url) as reader:
        yield PredictionLog(reader)


def _parse_quarter(key: str) -> datetime:
    return parse_time(f"{key[:14]}00Z") + int(key[14:]) * _QUARTER


def _add_tallies(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.keys,
        one.photos + other.photos,
        one.judged + other.judged,
        one.corrected + other.corrected,
        one.confidence_sum + other.confidence_sum,
    )
