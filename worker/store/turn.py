"""What a worker writes in one transaction: photos taken on, decided, filed, missing, tried again."""

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

from worker.inference.prediction import Prediction
from worker.paths import encode_undecodable, format_path, restore_path
from worker.store import locks
from worker.store.records import Arrival, Content, Decision, Status
from worker.store.schema import ACTIVE, photos, predictions

_DECIDED = (Status.DECIDED,)


def _where(status: tuple[Status, ...]) -> ColumnElement[bool]:
    return and_(photos.c.id == bindparam("photo_id"), or_(*(photos.c.status == word for word in status)))


# Built once: to build a statement takes SQLAlchemy longer than SQLite takes to run it.
_FIND: dict[tuple[Status, ...], Select[Any]] = {
    status: select(photos).where(_where(status)) for status in (ACTIVE, _DECIDED)
}
_CHANGE: dict[tuple[Status, ...], Update] = {
    status: update(photos).where(_where(status)) for status in (ACTIVE, _DECIDED)
}
_FILE = (
    update(photos)
    .where(_where(_DECIDED))
    .values(
        status=case((photos.c.reason.is_(None), Status.FILED), else_=Status.QUARANTINED),
        filed_at=bindparam("at"),
    )
)
_PREDICT = insert(predictions)
_FORGET = delete(predictions).where(
    predictions.c.id
    == select(func.max(predictions.c.id))
    .where(predictions.c.photo_id == bindparam("photo_id"))
    .scalar_subquery()
)


def insert_unless_there(connection: Connection, table: Table) -> Any:
    """Return an insert that leaves a row alone that a unique index finds already there."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


class Turn:
    """One transaction of `Store.turn`; a photo that is not in hand is refused with LookupError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._insert = insert_unless_there(connection, photos).returning(photos.c.id)
        self.taken: set[int] = set()
        self.finished: set[int] = set()

    def take_on(self, arrivals: Sequence[Arrival]) -> list[int | None]:
        """Return the id of each photo's new row, or None where its source path is in hand already."""
        # In the order of the paths, so that two workers that take on the same ones wait for each other
        # in turn, and never crosswise.
        order = sorted(range(len(arrivals)), key=lambda index: os.fsencode(arrivals[index].source))
        ids: list[int | None] = [None] * len(arrivals)
        for index in order:
            ids[index] = self._connection.execute(self._insert, _make_photo_row(arrivals[index])).scalar()
        new = {photo_id for photo_id in ids if photo_id is not None}
        self.taken |= locks.take_photos(self._connection, new)
        return ids

    def withdraw(self, photo_id: int) -> None:
        """Take a row back that this turn has made: its file was finished by another worker meanwhile."""
        row = (photos.c.id == photo_id) & (photos.c.status == Status.PENDING)
        self._connection.execute(delete(photos).where(row))
        self.finished.add(photo_id)

    def decide(self, decision: Decision, model_id: int) -> None:
        """Record where a photo goes and why; a second decision for it takes the place of the first."""
        self._forget_prediction(decision.photo_id)
        self._change(
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
        if decision.verdict is not None:
            row = _make_prediction_row(decision.photo_id, model_id, decision.verdict, decision.decided_at)
            self._connection.execute(_PREDICT, row)

    def readdress(self, photo_id: int, destination: Path) -> None:
        """Send a decided photo to another name."""
        self._change(photo_id, _DECIDED, **_make_path_columns(destination))

    def record_filed(self, photo_id: int, at: datetime) -> None:
        """Record that a decided photo is where it was to go."""
        self._apply(_FILE, photo_id, _DECIDED, {"at": at})
        self.finished.add(photo_id)

    def record_missing(self, photo_id: int, detail: str) -> None:
        """Record that a photo's file has gone."""
        self._change(photo_id, ACTIVE, status=Status.MISSING, detail=_clean_text(detail))
        self.finished.add(photo_id)

    def retry(self, photo_id: int) -> None:
        """Make a photo pending again; a decision that was not carried out is forgotten."""
        self._forget_prediction(photo_id)
        row = self._row(photo_id, ACTIVE)
        source = restore_path(row.source_path, row.source_path_raw)
        self._change(
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

    def _row(self, photo_id: int, status: tuple[Status, ...]) -> Any:
        row = self._connection.execute(_FIND[status], {"photo_id": photo_id}).first()
        if row is None:
            raise LookupError(f"photo {photo_id} is not {' or '.join(status)}")
        return row

    def _change(self, photo_id: int, was: tuple[Status, ...], **values: Any) -> None:
        self._apply(_CHANGE[was], photo_id, was, values)

    def _apply(
        self, statement: Update, photo_id: int, was: tuple[Status, ...], values: dict[str, Any]
    ) -> None:
        if self._connection.execute(statement, {"photo_id": photo_id, **values}).rowcount != 1:
            raise LookupError(f"photo {photo_id} is not {' or '.join(was)}")

    def _forget_prediction(self, photo_id: int) -> None:
        """Remove the prediction of a decision that was not carried out; older ones stay."""
        row = self._row(photo_id, ACTIVE)
        if row.status == Status.DECIDED and row.reason is None:
            self._connection.execute(_FORGET, {"photo_id": photo_id})


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
    # Libraries quote names and bytes as they found them, and PostgreSQL takes neither of these.
    if detail is None:
        return None
    return detail.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _make_prediction_row(photo_id: int, model_id: int, verdict: Prediction, at: datetime) -> dict[str, Any]:
    return {
        "photo_id": photo_id,
        "model_id": model_id,
        "label": verdict.label,
        "confidence": verdict.confidence,
        "probabilities": verdict.probabilities,
        "faces": verdict.faces_to_dicts(),
        "predicted_at": at,
    }
