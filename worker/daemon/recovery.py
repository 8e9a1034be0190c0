"""Resume what a stopped worker has left, from its rows and the files themselves."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.planner import PendingMove, Photo, name_event
from worker.daemon.worker import Worker
from worker.filing import Mover, RecoveryAction, plan_recovery, read_path_state
from worker.store import Unfinished

if TYPE_CHECKING:
    from worker.store import Store

logger = logging.getLogger(__name__)


def recover_unfinished(worker: Worker, store: "Store", mover: Mover, config: Config) -> None:
    """Give the worker every unfinished photo that no other worker has in hand."""
    for row in store.take_unfinished():
        source = config.root / row.source
        try:
            _resume(worker, row, source, mover, config)
        except OSError as error:
            # Stays as it is, in the inbox and in the log, until a later start can read it.
            fields = {
                "event": "not_recovered",
                "photo_id": row.photo_id,
                "path": source,
                "detail": str(error),
            }
            logger.warning("cannot be read now", extra=fields)


def _resume(worker: Worker, row: Unfinished, source: Path, mover: Mover, config: Config) -> None:
    state = read_path_state(source)
    photo = Photo(row.photo_id, source, state.identity.size_bytes if state.identity else 0)
    if row.destination is None:
        resume = worker.adopt if state.identity else worker.adopt_gone
        resume(photo)
        return
    destination = config.root / row.destination
    mover.discard_copy(row.photo_id, destination)
    log_fields: dict[str, object] = {
        "event": name_event(row.reason),
        "photo_id": row.photo_id,
        "path": row.source,
        "to": row.destination,
        "recovered": True,
    }
    move = PendingMove(photo, row.folder, destination, state.identity, log_fields)
    match plan_recovery(row.sha256, state, read_path_state(destination)):
        case RecoveryAction.PREDICT:
            worker.adopt_changed(photo)
        case RecoveryAction.MOVE:
            worker.adopt_move(move)
        case RecoveryAction.RECORD:
            worker.adopt_arrived(move)
        case RecoveryAction.MISSING:
            worker.adopt_gone(photo)
