"""Record the changes of place: decided before they are made, done or refused after."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from worker.paths import encode_undecodable, format_path
from worker.store.schema import actions, moves

# Not IN, and built once, as in `turn`: SQLAlchemy takes longer over a statement than SQLite.
_UNDER_WAY = (moves.c.state == "asked") | (moves.c.state == "decided")
_OF_PHOTO = (moves.c.photo_id == bindparam("of_photo")) & _UNDER_WAY

_INSERT_MOVE = insert(moves)
_READDRESS = update(moves).where(_OF_PHOTO)
_INSERT_ACTION = insert(actions).returning(actions.c.id)
_END_MOVE = update(moves).where(_OF_PHOTO).returning(moves.c.action_id)
_LOCK_ACTION = update(actions).where(actions.c.id == bindparam("action")).values(photos=actions.c.photos)
_END_ACTION = (
    update(actions)
    .where(
        actions.c.id == bindparam("action"),
        ~select(moves.c.id).where(moves.c.action_id == actions.c.id, _UNDER_WAY).exists(),
    )
    .values(ended_at=bindparam("at"))
)
_COUNT_MOVES = (
    update(actions)
    .where(actions.c.id == bindparam("action"))
    .values(
        photos=select(func.count()).where(moves.c.action_id == bindparam("action")).scalar_subquery(),
    )
)


class MoveRecords:
    """The moves of one transaction; what is first filed in it is one action of the worker's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._filing_id: int | None = None
        self._ended: dict[int, datetime] = {}

    def decide(self, photo_id: int, source: Path, destination: Path, at: datetime) -> None:
        """Record that a photo is about to be moved."""
        if self._filing_id is None:
            self._filing_id = self._insert_filing(at)
        row = {
            "action_id": self._filing_id,
            "photo_id": photo_id,
            **_make_path_columns("from_path", source),
            **_make_path_columns("to_path", destination),
            "state": "decided",
            "decided_at": at,
        }
        self._connection.execute(_INSERT_MOVE, row)

    def readdress(self, photo_id: int, destination: Path) -> None:
        """Change the destination of a move that is under way."""
        values = _make_path_columns("to_path", destination)
        self._connection.execute(_READDRESS, {"of_photo": photo_id, **values})

    def finish(self, photo_id: int, at: datetime) -> None:
        """Record that a photo has arrived."""
        self._end(photo_id, at, state="done", done_at=at)

    def refuse(self, photo_id: int, reason: str, at: datetime) -> None:
        """Record that a photo is not moved after all, where a move of it is under way."""
        self._end(photo_id, at, state="refused", reason=reason)

    def end_turn(self) -> None:
        """Bring the actions up to date with their moves, before the transaction is committed."""
        if self._filing_id is not None:
            self._connection.execute(_COUNT_MOVES, {"action": self._filing_id})
        for action_id, at in sorted(self._ended.items()):
            # Locked first: of two workers that end its last moves at once, the second has to see the first's.
            self._connection.execute(_LOCK_ACTION, {"action": action_id})
            self._connection.execute(_END_ACTION, {"action": action_id, "at": at})

    def _insert_filing(self, at: datetime) -> int:
        row = {"kind": "file", "origin": "worker", "asked_at": at, "started_at": at, "photos": 0}
        action_id: int = self._connection.execute(_INSERT_ACTION, row).scalar_one()
        return action_id

    def _end(self, photo_id: int, at: datetime, **values: Any) -> None:
        # None in a log that is older than moves, whose decision had none.
        action_id = self._connection.execute(_END_MOVE, {"of_photo": photo_id, **values}).scalar()
        if action_id is not None:
            self._ended[action_id] = at


def _make_path_columns(name: str, path: Path) -> dict[str, str | bytes | None]:
    return {name: format_path(path), f"{name}_raw": encode_undecodable(path)}
