"""Resume what a stopped worker has left, from its rows and the files themselves."""

import logging
from contextlib import closing
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.planner import PendingMove, Photo, name_event
from worker.daemon.worker import Worker
from worker.filing import Mover, RecoveryAction, parse_leaving, plan_recovery, read_path_state
from worker.inbox.scanner import scan_folder
from worker.store import Unfinished
from worker.tree import Tree

if TYPE_CHECKING:
    from worker.store import Store

logger = logging.getLogger(__name__)


def recover_unfinished(worker: Worker, store: "Store", mover: Mover, config: Config) -> None:
    """Give the worker every unfinished photo that no other worker has in hand."""
    rows = store.take_unfinished()
    for row in rows:
        try:
            _resume(worker, row, mover, config)
        except OSError as error:
            # Stays as it is, in the inbox and in the log, until a later start can read it.
            fields = {
                "event": "not_recovered",
                "photo_id": row.photo_id,
                "path": config.root / row.source,
                "detail": str(error),
            }
            logger.warning("cannot be read now", extra=fields)
    # Where others share the inbox, one of them may be at work on what looks like a stray.
    if not store.shares_inbox:
        _return_strays(mover, config, {row.photo_id for row in rows})


def _return_strays(mover: Mover, config: Config, unfinished_ids: set[int]) -> None:
    """Give visible names to files that were leaving the inbox when their row was lost, with its database."""
    entries = scan_folder(config.inbox_folder, recursive=True, is_ignored=lambda _: False)
    leaving = [(path, parse_leaving(path.name)) for path, kind in entries if kind is None]
    for path, photo_id in leaving:
        if photo_id is None or photo_id in unfinished_ids:
            continue
        try:
            mover.return_stray(path.relative_to(config.root), photo_id)
            logger.warning("put back under a new name", extra={"event": "put_back", "path": path})
        except OSError as error:
            fields = {"event": "not_recovered", "path": path, "detail": str(error)}
            logger.warning("cannot be put back now", extra=fields)


def _resume(worker: Worker, row: Unfinished, mover: Mover, config: Config) -> None:
    copy = None
    if row.destination is not None:
        copy = mover.settle_private_names(row.photo_id, row.source, row.destination)
    with closing(Tree(config.root)) as tree:
        source = read_path_state(tree, row.source)
        destination = read_path_state(tree, row.destination) if row.destination is not None else None
    photo = Photo(
        row.photo_id, config.root / row.source, source.identity.size_bytes if source.identity else 0
    )
    if row.destination is None or destination is None:
        resume = worker.adopt if source.identity else worker.adopt_gone
        resume(photo)
        return
    log_fields: dict[str, object] = {
        "event": name_event(row.reason),
        "photo_id": row.photo_id,
        "path": row.source,
        "to": row.destination,
        "recovered": True,
    }
    move = PendingMove(photo, row.folder, config.root / row.destination, source.identity, log_fields)
    if copy is not None:
        # Its source may be gone, and what has come under that name since is another photo.
        move.identity = source.identity if source.sha256 == row.sha256 else copy
        worker.adopt_move(move)
        return
    match plan_recovery(row.sha256, source, destination):
        case RecoveryAction.PREDICT:
            worker.adopt_changed(photo)
        case RecoveryAction.MOVE:
            worker.adopt_move(move)
        case RecoveryAction.RECORD:
            worker.adopt_arrived(move)
        case RecoveryAction.MISSING:
            worker.adopt_gone(photo)
