"""Move the rows of old photos out of the log, into an archive that is a log of its own."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, select

from worker.store.address import describe_address
from worker.store.backup import StagedFile
from worker.store.engine import connect, translate_errors
from worker.store.read_connection import open_read_connection
from worker.store.records import Status
from worker.store.schema import actions, metadata, moves, photos
from worker.store.times import format_time
from worker.store.turn import build_insert_or_ignore
from worker.store.upgrade import upgrade_schema

_SLICE_IDS = 200
"""How many ids are looked at in one transaction: a worker waits for one of these at most."""

_LOCK_SECONDS = 10.0

_FINISHED = (Status.FILED, Status.QUARANTINED, Status.MISSING)

_CHILDREN = tuple(table for table in metadata.sorted_tables if "photo_id" in table.c)
"""The tables whose rows belong to a photo."""

_PARENTS = {
    (table, column.name): key.column.table
    for table in metadata.sorted_tables
    for column in table.c
    for key in column.foreign_keys
    if key.column.table is not photos
}
"""The table that a column of another refers to; rows of these belong to several photos."""

_COUNT = "SELECT count(*), max(id) FROM photos WHERE received_at < ? AND status IN (?, ?, ?)"

Rows = dict[Table, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class OldPhotos:
    """The photos that came before a time and are finished; `newest_id` is 0 where there are none."""

    before: datetime
    count: int
    newest_id: int


@dataclass(frozen=True, slots=True)
class PruneResult:
    """How many photos were moved to the archive, and how many stay because they changed meanwhile."""

    pruned: int
    changed: int


def find_old_photos(url: str, before: datetime) -> OldPhotos:
    """Count the finished photos that came before a time. Raises as `open_read_connection`."""
    with open_read_connection(url) as reader:
        ((count, newest_id),) = reader.query(_COUNT, (format_time(before), *map(str, _FINISHED)))
    return OldPhotos(before, count, newest_id or 0)


def prune_log(
    url: str, old_photos: OldPhotos, archive: Path, pause: Callable[[float], None] = time.sleep
) -> PruneResult:
    """Copy the rows of old photos to a new log, durably, and only then delete them.

    Both in slices, with a pause after each as long as it took, so that a worker gets on meanwhile. Whatever
    stops this, no row is lost: it is in the log, in the archive, or in both. Raises StoreError or Transient.
    """
    slices = [range(start, start + _SLICE_IDS) for start in range(1, old_photos.newest_id + 1, _SLICE_IDS)]
    with StagedFile(archive) as partial, _open(url) as log:
        upgrade_schema(connect(f"sqlite:///{partial}", _LOCK_SECONDS), f"sqlite:///{partial}")
        with _open(f"sqlite:///{partial}") as copy:
            for ids in _take_slices(slices, pause):
                _copy(log, copy, ids, old_photos)
    pruned = changed = 0
    with _open(url) as log, _open(f"sqlite:///{archive}") as copy:
        for ids in _take_slices(slices, pause):
            archived, deleted = _delete(log, copy, ids)
            pruned += deleted
            changed += archived - deleted
    return PruneResult(pruned, changed)


@contextmanager
def _open(url: str) -> Iterator[Connection]:
    with translate_errors(describe_address(url)), connect(url, _LOCK_SECONDS).connect() as connection:
        yield connection


def _take_slices(slices: Sequence[range], pause: Callable[[float], None]) -> Iterator[range]:
    for ids in slices:
        started_at = time.monotonic()
        yield ids
        pause(time.monotonic() - started_at)


def _copy(log: Connection, copy: Connection, ids: range, old_photos: OldPhotos) -> None:
    is_under_way = exists().where(moves.c.photo_id == photos.c.id, moves.c.state.in_(("asked", "decided")))
    is_old = (photos.c.received_at < old_photos.before) & photos.c.status.in_(_FINISHED) & ~is_under_way
    with log.begin():
        query = select(photos.c.id).where(photos.c.id.between(ids[0], ids[-1]), is_old)
        rows = _read_rows(log, log.execute(query).scalars().all())
        rows |= _read_parents(log, rows)
    with copy.begin():
        for table in metadata.sorted_tables:
            # The newest first: an action is undone by a later one, which has to be there before.
            for row in sorted(rows.get(table, ()), key=lambda row: -row["id"]):
                copy.execute(build_insert_or_ignore(copy, table), row)


def _read_rows(connection: Connection, photo_ids: Collection[int]) -> Rows:
    """Return the rows of some photos, locked against other programs until the transaction ends."""
    rows = {photos: _select(connection, photos, "id", photo_ids)}
    return rows | {table: _select(connection, table, "photo_id", photo_ids) for table in _CHILDREN}


def _read_parents(connection: Connection, rows: Rows) -> Rows:
    """Return the rows that these rows refer to, and those that they refer to in turn."""
    parents: Rows = defaultdict(list)
    new_rows = rows
    while any(new_rows.values()):
        wanted: dict[Table, set[int]] = defaultdict(set)
        for (table, column), parent in _PARENTS.items():
            wanted[parent] |= {row[column] for row in new_rows.get(table, ())} - {None}
        for parent in wanted:
            wanted[parent] -= {row["id"] for row in parents[parent]}
        new_rows = {parent: _select(connection, parent, "id", ids) for parent, ids in wanted.items()}
        for parent, parent_rows in new_rows.items():
            parents[parent] += parent_rows
    return parents


def _select(connection: Connection, table: Table, column: str, ids: Collection[int]) -> list[dict[str, Any]]:
    if not ids:
        return []
    query = select(table).where(table.c[column].in_(ids)).order_by(table.c.id)
    if table is photos:
        query = query.with_for_update()
    return [dict(row._mapping) for row in connection.execute(query)]


def _delete(log: Connection, copy: Connection, ids: range) -> tuple[int, int]:
    """Delete what is in the archive as it is in the log; return how many are there, and were deleted."""
    with copy.begin():
        archived_ids = copy.execute(select(photos.c.id).where(photos.c.id.between(ids[0], ids[-1]))).scalars()
        archived = _group_by_photo(_read_rows(copy, archived_ids.all()))
    with log.begin():
        rows = _group_by_photo(_read_rows(log, archived.keys()))
        unchanged_ids = [photo_id for photo_id, row in rows.items() if row == archived[photo_id]]
        action_ids = select(moves.c.action_id).where(moves.c.photo_id.in_(unchanged_ids)).distinct()
        touched_ids = log.execute(action_ids).scalars().all()
        for table in _CHILDREN:
            log.execute(delete(table).where(table.c.photo_id.in_(unchanged_ids)))
        log.execute(delete(photos).where(photos.c.id.in_(unchanged_ids)))
        _delete_empty_actions(log, touched_ids)
    return len(archived), len(unchanged_ids)


def _delete_empty_actions(log: Connection, action_ids: Collection[int]) -> None:
    undone = actions.alias()
    has_moves = exists().where(moves.c.action_id == actions.c.id)
    undoes_another = exists().where(undone.c.undone_by == actions.c.id)
    log.execute(delete(actions).where(actions.c.id.in_(action_ids), ~has_moves, ~undoes_another))


def _group_by_photo(rows: Rows) -> dict[int, list[dict[str, Any]]]:
    groups = {row["id"]: [row] for row in rows[photos]}
    for table in _CHILDREN:
        for row in rows[table]:
            groups[row["photo_id"]].append(row)
    return groups
