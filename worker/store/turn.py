"""The writes of a worker in one transaction: photos taken on, decided, filed, missing or tried again."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from worker.errors import REVIEW_REASONS
from worker.inference.prediction import Prediction
from worker.paths import encode_undecodable, format_path, restore_path
from worker.store import locks
from worker.store.records import Arrival, Content, Decision, Status
from worker.store.schema import ACTIVE, photos, predictions

_DECIDED = (Status.DECIDED,)
_FINISHED = (Status.FILED, Status.QUARANTINED)


def _match_photo(statuses: tuple[Status, ...]) -> ColumnElement[bool]:
    # Not IN: SQLAlchemy expands it anew at each execution.
    is_in_status = or_(*(photos.c.status == status for status in statuses))
    return and_(photos.c.id == bindparam("photo_id"), is_in_status)


# Built once: SQLAlchemy takes longer to build a statement than SQLite takes to run it.
_SELECT: dict[tuple[Status, ...], Select[Any]] = {
    statuses: select(photos).where(_match_photo(statuses)) for statuses in (ACTIVE, _DECIDED)
}
_UPDATE: dict[tuple[Status, ...], Update] = {
    statuses: update(photos).where(_match_photo(statuses)) for statuses in (ACTIVE, _DECIDED)
}
_HAS_PREDICTION = or_(photos.c.reason.is_(None), *(photos.c.reason == reason for reason in REVIEW_REASONS))
_FINISHED_STATUS = case((_HAS_PREDICTION, Status.FILED), else_=Status.QUARANTINED)
_UPDATE_FILED = (
    update(photos).where(_match_photo(_DECIDED)).values(status=_FINISHED_STATUS, filed_at=bindparam("at"))
)
_MARK_MISSING = update(photos).where(_match_photo(_FINISHED)).values(status=Status.MISSING)
_MARK_RETURNED = (
    update(photos)
    .where(_match_photo((Status.MISSING,)), photos.c.filed_at.is_not(None))
    .values(status=_FINISHED_STATUS)
)
_INSERT_PREDICTION = insert(predictions)
_DELETE_NEWEST_PREDICTION = delete(predictions).where(
    predictions.c.id
    == select(func.max(predictions.c.id))
    .where(predictions.c.photo_id == bindparam("photo_id"))
    .scalar_subquery()
)


def build_insert_or_ignore(connection: Connection, table: Table) -> Any:
    """Return an INSERT that does nothing where the row violates a unique index."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


class Turn:
    """One transaction of a store. Methods raise LookupError for a photo that is not in hand."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._insert = build_insert_or_ignore(connection, photos).returning(photos.c.id)
        self.taken_ids: set[int] = set()
        self.finished_ids: set[int] = set()

    def take_on(self, arrivals: Sequence[Arrival]) -> list[int | None]:
        """Insert a row for each photo; return its id, or None where its source path is in hand already."""
        # In the order of the paths, so that two workers that take on the same photos cannot deadlock.
        order = sorted(range(len(arrivals)), key=lambda index: os.fsencode(arrivals[index].source))
        ids: list[int | None] = [None] * len(arrivals)
        for index in order:
            ids[index] = self._connection.execute(self._insert, _make_photo_row(arrivals[index])).scalar()
        new_ids = {photo_id for photo_id in ids if photo_id is not None}
        self.taken_ids |= locks.lock_photos(self._connection, new_ids)
        return ids

    def withdraw(self, photo_id: int) -> None:
        """Delete a row that this turn has inserted: another worker has finished its file in the meantime."""
        is_pending = (photos.c.id == photo_id) & (photos.c.status == Status.PENDING)
        self._connection.execute(delete(photos).where(is_pending))
        self.finished_ids.add(photo_id)

    def decide(self, decision: Decision, model_id: int) -> None:
        """Record where a photo goes and why; a second decision replaces the first."""
        # First: whether there is one to delete is read from the state that the update replaces.
        self._delete_prediction(decision.photo_id)
        self._update(
            decision.photo_id,
            ACTIVE,
            status=Status.DECIDED,
            **_make_path_columns(decision.destination),
            folder=decision.folder,
            reason=decision.reason,
            detail=_clean_text(decision.detail),
            **asdict(decision.content),
            decided_at=decision.decided_at,
        )
        if decision.prediction is not None:
            row = _make_prediction_row(decision.photo_id, model_id, decision.prediction, decision.decided_at)
            self._connection.execute(_INSERT_PREDICTION, row)

    def readdress(self, photo_id: int, destination: Path) -> None:
        """Change the destination of a decided photo."""
        self._update(photo_id, _DECIDED, **_make_path_columns(destination))

    def record_filed(self, photo_id: int, at: datetime) -> None:
        """Record that a decided photo has arrived at its destination."""
        self._execute_update(_UPDATE_FILED, photo_id, _DECIDED, {"at": at})
        self.finished_ids.add(photo_id)

    def record_missing(self, photo_id: int, detail: str) -> None:
        """Record that the file of a photo has gone."""
        self._update(photo_id, ACTIVE, status=Status.MISSING, detail=_clean_text(detail))
        self.finished_ids.add(photo_id)

    def mark_missing(self, photo_ids: Sequence[int]) -> int:
        """Record that the files of filed photos have gone; return for how many that is new."""
        return self._mark(_MARK_MISSING, photo_ids)

    def mark_returned(self, photo_ids: Sequence[int]) -> int:
        """Record that missing photos are where they were filed; return for how many that is new."""
        return self._mark(_MARK_RETURNED, photo_ids)

    def _mark(self, statement: Update, photo_ids: Sequence[int]) -> int:
        # In the order of the ids, so that two workers that mark the same photos cannot deadlock.
        return sum(
            self._connection.execute(statement, {"photo_id": photo_id}).rowcount
            for photo_id in sorted(photo_ids)
        )

    def retry(self, photo_id: int) -> None:
        """Make a photo pending again, and discard a decision that was not carried out."""
        self._delete_prediction(photo_id)
        row = self._read_row(photo_id, ACTIVE)
        source = restore_path(row.source_path, row.source_path_raw)
        self._update(
            photo_id,
            ACTIVE,
            status=Status.PENDING,
            **_make_path_columns(source),
            folder=format_path(Path(source.parts[0])),
            reason=None,
            detail=None,
            **asdict(Content(sha256=None, size_bytes=row.size_bytes, width=None, height=None)),
            attempts=row.attempts + 1,
            decided_at=None,
        )

    def _read_row(self, photo_id: int, statuses: tuple[Status, ...]) -> Any:
        row = self._connection.execute(_SELECT[statuses], {"photo_id": photo_id}).first()
        if row is None:
            raise _make_lookup_error(photo_id, statuses)
        return row

    def _update(self, photo_id: int, statuses: tuple[Status, ...], **values: Any) -> None:
        self._execute_update(_UPDATE[statuses], photo_id, statuses, values)

    def _execute_update(
        self, statement: Update, photo_id: int, statuses: tuple[Status, ...], values: dict[str, Any]
    ) -> None:
        if self._connection.execute(statement, {"photo_id": photo_id, **values}).rowcount != 1:
            raise _make_lookup_error(photo_id, statuses)

    def _delete_prediction(self, photo_id: int) -> None:
        """Delete the prediction of a decision that was not carried out; older ones stay."""
        row = self._read_row(photo_id, ACTIVE)
        # A refusal has no prediction: the newest one would be that of an older decision.
        if row.status == Status.DECIDED and (row.reason is None or row.reason in REVIEW_REASONS):
            self._connection.execute(_DELETE_NEWEST_PREDICTION, {"photo_id": photo_id})


def _make_lookup_error(photo_id: int, statuses: tuple[Status, ...]) -> LookupError:
    return LookupError(f"photo {photo_id} is not {' or '.join(statuses)}")


def _make_photo_row(arrival: Arrival) -> dict[str, Any]:
    path = _make_path_columns(arrival.source)
    return {
        **path,
        "source_path": path["path"],
        "source_path_raw": path["path_raw"],
        "name": format_path(Path(arrival.source.name)),
        "folder": format_path(Path(arrival.source.parts[0])),
        "status": Status.PENDING,
        "size_bytes": arrival.size_bytes,
        "attempts": 1,
        "received_at": arrival.received_at,
    }


def _make_path_columns(path: Path) -> dict[str, str | bytes | None]:
    return {"path": format_path(path), "path_raw": encode_undecodable(path)}


def _clean_text(detail: str | None) -> str | None:
    # Error messages of libraries quote names and bytes; PostgreSQL accepts neither lone surrogates nor NUL.
    if detail is None:
        return None
    return detail.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _make_prediction_row(
    photo_id: int, model_id: int, prediction: Prediction, at: datetime
) -> dict[str, Any]:
    return {
        "photo_id": photo_id,
        "model_id": model_id,
        "label": prediction.label,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
        "faces": prediction.faces_to_dicts(),
        "predicted_at": at,
    }
