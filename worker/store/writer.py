"""Write to the log: the connection of one worker."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from worker.errors import Reason, Transient
from worker.fileio import KnownFile
from worker.paths import restore_path
from worker.store import locks
from worker.store.address import describe_address, find_sqlite_file
from worker.store.engine import connect, set_lock_timeout, translate_errors, translate_start_errors
from worker.store.records import FiledPhoto, Status, Unfinished
from worker.store.schema import ACTIVE, models, photos
from worker.store.turn import Turn, build_insert_or_ignore
from worker.store.upgrade import upgrade_schema


def open_store(url: str, lock_seconds: float = 10.0) -> "Store":
    """Open the log for writing, after an upgrade where the database is empty or older.

    A statement waits `lock_seconds` for the lock of another program. Raises StoreError where the database is
    newer than this program, damaged, foreign or unwritable, and Transient where it is locked or unreachable.
    """
    engine = connect(url, lock_seconds)
    with translate_start_errors(describe_address(url)):
        upgrade_schema(engine, url)
        return Store(engine.connect(), describe_address(url), find_sqlite_file(url))


class Store:
    """The log as one worker writes it, over one connection and from one thread.

    After Locked, call the same method again. After any other Transient, open another store: its
    `take_unfinished` returns the photos that this one had in hand.
    """

    def __init__(self, connection: Connection, where: str, file: Path | None) -> None:
        """`file` is that of an SQLite database, None where a server keeps the log."""
        self.shares_inbox: bool = connection.dialect.name == "postgresql"
        self._connection = connection
        self._where = where
        self._file = file
        self._file_id = None if file is None else _read_file_id(file)
        self._held_ids: set[int] = set()

    def limit_waits(self, lock_seconds: float) -> None:
        """Let statements wait so long for the lock of another program, before they raise Locked."""
        with translate_errors(self._where):
            set_lock_timeout(self._connection, lock_seconds)

    def is_unfinished(self, photo_id: int) -> bool:
        """Tell whether a photo is pending or decided."""
        query = select(photos.c.id).where(photos.c.id == photo_id, photos.c.status.in_(ACTIVE))
        with self._begin_transaction() as connection:
            return connection.execute(query).first() is not None

    def use_model(
        self,
        name: str,
        version: str,
        classes: Sequence[str],
        metrics: Mapping[str, Any] | Sequence[Any],
        now: datetime,
    ) -> int:
        """Return the id of the row of a model, which is inserted on first use."""
        row = {
            "name": name,
            "version": version,
            "classes": list(classes),
            "metrics": metrics,
            "first_used_at": now,
        }
        select_id = select(models.c.id).where(models.c.name == name, models.c.version == version)
        with self._begin_transaction() as connection:
            # Not RETURNING, which returns nothing where the row is there already.
            connection.execute(build_insert_or_ignore(connection, models).values(row))
            model_id: int = connection.execute(select_id).scalar_one()
        return model_id

    @contextmanager
    def begin_turn(self) -> Iterator[Turn]:
        """Begin the transaction of one turn; it is durable when the context ends."""
        turn: Turn | None = None
        try:
            with self._begin_transaction() as connection:
                turn = Turn(connection)
                yield turn
                turn.end()
        except BaseException:
            if turn is not None:
                # Locks of a session outlive the rollback of its transaction.
                self._release(turn.taken_ids)
            raise
        # Added first: a photo that was withdrawn is in both sets.
        self._held_ids |= turn.taken_ids
        self._held_ids -= turn.finished_ids
        # After the commit: whoever locks them next has to read that they are finished.
        self._release(turn.finished_ids)

    def take_unfinished(self) -> list[Unfinished]:
        """Take over the pending and decided photos that no running worker has in hand, this one included."""
        select_ids = select(photos.c.id).where(photos.c.status.in_(ACTIVE))
        with self._begin_transaction() as connection:
            # Without our own: PostgreSQL would lock them once more for the session that holds them.
            active_ids = set(connection.execute(select_ids).scalars()) - self._held_ids
            locked_ids = locks.lock_photos(connection, active_ids)
            # Read again under the lock: its former holder may just have finished a photo.
            rows = {
                row.id: row
                for row in connection.execute(select(photos).where(photos.c.status.in_(ACTIVE)))
                if row.id in locked_ids
            }
            locks.unlock_photos(connection, locked_ids - rows.keys())
        self._held_ids |= rows.keys()
        return [_make_unfinished(row) for _, row in sorted(rows.items())]

    def give_back(self, photo_ids: Iterable[int]) -> None:
        """Leave unfinished photos to whoever asks next, this worker included."""
        given_ids = self._held_ids & set(photo_ids)
        self._held_ids -= given_ids
        self._release(given_ids)

    def list_filed(self, before_id: int | None, limit: int) -> list[FiledPhoto]:
        """Return photos that were filed or quarantined, missing ones as well, the newest before an id."""
        # By filed_at: a photo that went missing before it was filed has no place to come back to.
        query = select(photos).where(photos.c.filed_at.is_not(None))
        if before_id is not None:
            query = query.where(photos.c.id < before_id)
        with self._begin_transaction() as connection:
            rows = connection.execute(query.order_by(photos.c.id.desc()).limit(limit)).all()
        return [_make_filed_photo(row) for row in rows]

    def close(self) -> None:
        """Close the connection, which releases every photo in hand."""
        with suppress(DBAPIError):
            self._connection.close()

    @contextmanager
    def _begin_transaction(self) -> Iterator[Connection]:
        if self._connection.invalidated:
            # SQLAlchemy would reconnect by itself, and the locks would be lost without anyone noticing.
            raise Transient(f"{self._where}: the connection was lost; open it again")
        # With a write-ahead log SQLite itself would go on to write where nobody will look for it.
        if self._file is not None and _read_file_id(self._file) != self._file_id:
            raise Transient(f"{self._where}: was moved, deleted or replaced; put it back")
        with translate_errors(self._where), self._connection.begin():
            yield self._connection

    def _release(self, photo_ids: set[int]) -> None:
        if not self.shares_inbox or not photo_ids:
            return
        # A lost connection has released its locks already, and the next transaction reports that it is lost.
        with suppress(DBAPIError), self._connection.begin():
            locks.unlock_photos(self._connection, photo_ids)


def _read_file_id(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


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
        file=_make_known_file(row.source_device, row.source_inode, row.size_bytes, row.source_mtime_ns),
    )


def _make_filed_photo(row: Any) -> FiledPhoto:
    return FiledPhoto(
        photo_id=row.id,
        path=restore_path(row.path, row.path_raw),
        folder=row.folder,
        size_bytes=row.size_bytes,
        is_missing=row.status == Status.MISSING,
        file=_make_known_file(row.device, row.inode, row.size_bytes, row.mtime_ns),
    )


def _make_known_file(
    device: int | None, inode: int | None, size_bytes: int, modified_ns: int | None
) -> KnownFile | None:
    if device is None or inode is None or modified_ns is None:
        return None
    return KnownFile(device, inode, size_bytes, modified_ns)
