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
from worker.fileio import KnownFile
from worker.inference.prediction import Prediction
from worker.paths import encode_undecodable, format_path, restore_path
from worker.store import locks
from worker.store.move_records import MoveRecords
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
    update(photos)
    .where(_match_photo(_DECIDED))
    .values(
        status=_FINISHED_STATUS,
        filed_at=bindparam("at"),
        device=bindparam("device"),
        inode=bindparam("inode"),
        mtime_ns=bindparam("mtime_ns"),
    )
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
        self._moves = MoveRecords(connection)
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
        # First: whether there is one to discard is read from the state that the update replaces.
        row = self._discard_decision(decision.photo_id, "decided anew", decision.decided_at)
        file = decision.file
        self._update(
            decision.photo_id,
            ACTIVE,
            status=Status.DECIDED,
            source_device=file and file.device,
            source_inode=file and file.inode,
            source_mtime_ns=file and file.modified_ns,
            **_make_path_columns(decision.destination),
            folder=decision.folder,
            reason=decision.reason,
            detail=_clean_text(decision.detail),
            **asdict(decision.content),
            decided_at=decision.decided_at,
        )
        source = restore_path(row.source_path, row.source_path_raw)
        self._moves.decide(decision.photo_id, source, decision.destination, decision.decided_at)
        if decision.prediction is not None:
            prediction = _make_prediction_row(
                decision.photo_id, model_id, decision.prediction, decision.decided_at
            )
            self._connection.execute(_INSERT_PREDICTION, prediction)

    def readdress(self, photo_id: int, destination: Path) -> None:
        """Change the destination of a decided photo."""
        self._update(photo_id, _DECIDED, **_make_path_columns(destination))
        self._moves.readdress(photo_id, destination)

    def record_filed(self, photo_id: int, file: KnownFile | None, at: datetime) -> None:
        """Record that a decided photo has arrived as `file`, which is None where that is not known."""
        values = {
            "at": at,
            "device": file and file.device,
            "inode": file and file.inode,
            "mtime_ns": file and file.modified_ns,
        }
        self._execute_update(_UPDATE_FILED, photo_id, _DECIDED, values)
        self._moves.finish(photo_id, at)
        self.finished_ids.add(photo_id)

    def record_missing(self, photo_id: int, detail: str, at: datetime) -> None:
        """Record that the file of a photo has gone."""
        self._update(photo_id, ACTIVE, status=Status.MISSING, detail=_clean_text(detail))
        self._moves.refuse(photo_id, "its file has gone", at)
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

    def retry(self, photo_id: int, at: datetime) -> None:
        """Make a photo pending again, and discard a decision that was not carried out."""
        row = self._discard_decision(photo_id, "its file has changed", at)
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
            source_device=None,
            source_inode=None,
            source_mtime_ns=None,
        )

    def end(self) -> None:
        """Write what only the end of the turn knows; the store calls it before it commits."""
        self._moves.end_turn()

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

    def _discard_decision(self, photo_id: int, reason: str, at: datetime) -> Any:
        """Discard a decision that was not carried out, where there is one; return the photo's row."""
        row = self._read_row(photo_id, ACTIVE)
        if row.status == Status.DECIDED:
            self._moves.refuse(photo_id, reason, at)
            # A refusal has no prediction: the newest one would be that of an older decision, which stays.
            if row.reason is None or row.reason in REVIEW_REASONS:
                self._connection.execute(_DELETE_NEWEST_PREDICTION, {"photo_id": photo_id})
        return row


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
