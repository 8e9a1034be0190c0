"""Read the log without blocking the worker."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
"""The columns of the view, in its order."""

PREDICTION_COLUMNS = ("label", "confidence", "probabilities", "faces", "model", "predicted_at")
"""The fields of each prediction in `PredictionLog.read_photo`."""

CORRECTION_COLUMNS = ("label", "previous_label", "origin", "corrected_at")
"""The fields of each correction in `PredictionLog.read_photo`."""

_PREDICTIONS = """\
SELECT label, confidence, probabilities, faces, name || '@' || version, predicted_at
FROM predictions JOIN models ON models.id = model_id WHERE photo_id = ? ORDER BY predictions.id DESC"""

_CORRECTIONS = f"""\
SELECT {", ".join(CORRECTION_COLUMNS)} FROM corrections WHERE photo_id = ? ORDER BY id DESC"""  # noqa: S608

_JSON_COLUMNS = frozenset({"probabilities", "faces"})

_CHUNK_ROWS = 500

_QUARTER = timedelta(minutes=15)
"""In every time zone of today a day begins at a multiple of this in UTC."""


class RowOrder(StrEnum):
    """The order of the rows: which come first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    HIGHEST = "highest"
    LOWEST = "lowest"


# By IS NULL first: SQLite sorts NULL before all values, PostgreSQL after them.
_ORDER_BY = {
    RowOrder.NEWEST: "id DESC",
    RowOrder.OLDEST: "id",
    RowOrder.HIGHEST: "confidence IS NULL, confidence DESC, id DESC",
    RowOrder.LOWEST: "confidence IS NULL, confidence, id DESC",
}


class Group(StrEnum):
    """The columns by which `PredictionLog.count_groups` counts."""

    LABEL = "label"
    STATUS = "status"
    MODEL = "model"
    REASON = "reason"


_GROUP_KEYS = {
    Group.LABEL: LABEL,
    Group.STATUS: "status",
    Group.MODEL: "model",
    Group.REASON: "reason",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of one group: photos, those with a prediction and those with a correction."""

    keys: tuple[str | None, ...]
    photos: int
    predicted: int
    corrected: int
    confidence_sum: float

    @property
    def mean_confidence(self) -> float | None:
        """The mean confidence of the photos with a prediction, None where there are none."""
        return self.confidence_sum / self.predicted if self.predicted else None


class PredictionLog:
    """The log as people query it; no query outlasts the call that makes it."""

    def __init__(self, reader: ReadConnection) -> None:
        self._reader = reader

    def read_rows(self, filters: Filters, order: RowOrder, limit: int | None) -> Iterator[dict[str, Any]]:
        """Yield the matching rows of the view, at most `limit`.

        The ids are read first and the rows in chunks, so that a slow consumer holds no lock.
        """
        condition, parameters = build_where(filters)
        query = f"SELECT id FROM prediction_log{condition} ORDER BY {_ORDER_BY[order]}"  # noqa: S608
        if limit is not None:
            query, parameters = f"{query} LIMIT ?", (*parameters, limit)
        ids = [row[0] for row in self._reader.query(query, parameters)]
        for start in range(0, len(ids), _CHUNK_ROWS):
            yield from self._read_chunk(ids[start : start + _CHUNK_ROWS])

    def read_photo(self, photo_id: int) -> dict[str, Any] | None:
        """Return a photo's row of the view, its `attempts`, and all its `predictions` and `corrections`.

        Both are lists of fields, the newest first. None where the log does not have the photo.
        """
        attempts = self._reader.query("SELECT attempts FROM photos WHERE id = ?", (photo_id,))
        if not attempts:
            return None
        (row,) = self._read_chunk([photo_id])
        return row | {
            "attempts": attempts[0][0],
            "predictions": self._read_fields(_PREDICTIONS, photo_id, PREDICTION_COLUMNS),
            "corrections": self._read_fields(_CORRECTIONS, photo_id, CORRECTION_COLUMNS),
        }

    def count_groups(self, filters: Filters, groups: Sequence[Group]) -> list[Tally]:
        """Count the matching rows by the groups, the largest first."""
        tallies = self._count_by([_GROUP_KEYS[group] for group in groups], filters)
        return sorted(tallies, key=lambda tally: -tally.photos)

    def count_days(self, filters: Filters) -> list[Tally]:
        """Count the matching rows by the day they came, in the local time zone, the earliest first."""
        # The database does not know the local time zone, and a log may have a million rows: it counts by
        # quarters of an hour, which are then added up to days.
        quarter = "substr(received_at, 1, 14) || (CAST(substr(received_at, 15, 2) AS INTEGER) / 15)"
        days: dict[date, Tally] = {}
        for tally in self._count_by([quarter], filters):
            (key,) = tally.keys
            assert key is not None
            day = _parse_quarter(key).astimezone().date()
            days[day] = _add_tallies(tally, days[day]) if day in days else tally
        return [replace(tally, keys=(day.isoformat(),)) for day, tally in sorted(days.items())]

    def _read_chunk(self, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        placeholders = ", ".join("?" * len(ids))
        query = f"SELECT {', '.join(COLUMNS)} FROM prediction_log WHERE id IN ({placeholders})"  # noqa: S608
        values_by_id = {values[0]: values for values in self._reader.query(query, tuple(ids))}
        for photo_id in ids:
            # No id can have lost its row: a turn deletes only rows that it has inserted itself.
            yield _make_row(COLUMNS, values_by_id[photo_id])

    def _read_fields(self, query: str, photo_id: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        return [_make_row(columns, values) for values in self._reader.query(query, (photo_id,))]

    def _count_by(self, keys: Sequence[str], filters: Filters) -> list[Tally]:
        condition, parameters = build_where(filters)
        counts = "count(*), count(confidence), count(corrected_label), coalesce(sum(confidence), 0.0)"
        numbers = ", ".join(str(index + 1) for index in range(len(keys)))
        query = f"SELECT {', '.join(keys)}, {counts} FROM prediction_log{condition} GROUP BY {numbers}"  # noqa: S608
        size = len(keys)
        return [Tally(tuple(row[:size]), *row[size:]) for row in self._reader.query(query, parameters)]


@contextmanager
def open_log(url: str) -> Iterator[PredictionLog]:
    """Open the log for reading only.

    Raises StoreError where there is none yet, where its schema is older or newer than this program's, and
    where it is damaged; Transient where it is locked or unreachable.
    """
    with open_read_connection(url) as reader:
        yield PredictionLog(reader)


def _make_row(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(columns, values, strict=True))
    for name in _JSON_COLUMNS & row.keys():
        if isinstance(row[name], str):  # SQLite stores JSON as text
            row[name] = json.loads(row[name])
    return row


def _parse_quarter(key: str) -> datetime:
    return parse_time(f"{key[:14]}00Z") + int(key[14:]) * _QUARTER


def _add_tallies(first: Tally, second: Tally) -> Tally:
    return Tally(
        first.keys,
        first.photos + second.photos,
        first.predicted + second.predicted,
        first.corrected + second.corrected,
        first.confidence_sum + second.confidence_sum,
    )
