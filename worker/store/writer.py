"""Write what happens to photos: one worker's connection to the log."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from worker.errors import Reason, Transient
from worker.paths import restore_path
from worker.store import locks
from worker.store.address import describe_address
from worker.store.engine import connect, translate_errors, translate_start_errors
from worker.store.records import Status, Unfinished
from worker.store.schema import ACTIVE, models, photos
from worker.store.turn import Turn, insert_unless_there
from worker.store.upgrade import upgrade_schema


def open_store(url: str, lock_seconds: float = 10.0) -> "Store":
    """Open the log for writing; an empty or older database is brought up to date first.

    A statement waits `lock_seconds` for another program's lock. Raises StoreError where the database is
    newer than this program, damaged, foreign or unwritable, and Transient where it is locked or unreachable.
    """
    engine = connect(url, lock_seconds)
    with translate_start_errors(describe_address(url)):
        upgrade_schema(engine, url)
        return Store(engine.connect(), describe_address(url))


class Store:
    """The log as one worker writes it, over one connection, from one thread.

    After a Transient, open another store: what this one had in hand comes back from `take_unfinished`.
    """

    def __init__(self, connection: Connection, where: str) -> None:
        self.shares_inbox: bool = connection.dialect.name == "postgresql"
        self._connection = connection
        self._where = where
        self._held: set[int] = set()

    def use_model(
        self,
        name: str,
        version: str,
        classes: Sequence[str],
        metrics: Mapping[str, Any] | Sequence[Any],
        now: datetime,
    ) -> int:
        """Return the id of the model's row, which is made on first use."""
        row = {
            "name": name,
            "version": version,
            "classes": list(classes),
            "metrics": metrics,
            "first_used_at": now,
        }
        known = select(models.c.id).where(models.c.name == name, models.c.version == version)
        with self._transaction() as connection:
            connection.execute(insert_unless_there(connection, models).values(row))
            model_id: int = connection.execute(known).scalar_one()
        return model_id

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Do one turn's writing in one transaction, which is durable when the context ends."""
        turn: Turn | None = None
        try:
            with self._transaction() as connection:
                turn = Turn(connection)
                yield turn
        except BaseException:
            if turn is not None:
                self._release(turn.taken)
            raise
        self._held |= turn.taken
        self._held -= turn.finished
        self._release(turn.finished)

    def take_unfinished(self) -> list[Unfinished]:
        """Take over the pending and decided photos that no living worker holds, this one included."""
        active = select(photos.c.id).where(photos.c.status.in_(ACTIVE))
        with self._transaction() as connection:
            there = set(connection.execute(active).scalars()) - self._held
            taken = locks.take_photos(connection, there)
            # Read after the lock: its holder may just have finished it.
            rows = {
                row.id: row
                for row in connection.execute(select(photos).where(photos.c.status.in_(ACTIVE)))
                if row.id in taken
            }
            locks.release_photos(connection, taken - rows.keys())
        self._held |= rows.keys()
        return [_make_unfinished(row) for _, row in sorted(rows.items())]

    def close(self) -> None:
        """Let go of the database and of every photo in hand."""
        with suppress(DBAPIError):
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._connection.invalidated:
            # Reconnecting would lose the locks without anyone noticing.
            raise Transient(f"{self._where}: the connection was lost; open it again")
        with translate_errors(self._where), self._connection.begin():
            yield self._connection

    def _release(self, photo_ids: set[int]) -> None:
        if not self.shares_inbox or not photo_ids:
            return
        # A connection that is lost has let go of them already, and the next transaction says that it is lost.
        with suppress(DBAPIError), self._connection.begin():
            locks.release_photos(self._connection, photo_ids)


def _make_unfinished(row: Any) -> Unfinished:
    is_decided = row.status == Status.DECIDED
    return Unfinished(
        photo_id=row.id,
        status=Status(row.status),
        source=restore_path(row.source_path, row.source_path_raw),
        destination=restore_path(row.path, row.path_raw) if is_decided else None,
        folder=row.folder,
        sha256=row.sha256,
        reason=Reason(row.reason) if row.reason else None,
        attempts=row.attempts,
    )
