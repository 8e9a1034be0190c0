"""Take up what a worker that was stopped has left, from its rows and the files themselves."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.planner import Leg, Photo
from worker.daemon.worker import Worker
from worker.filing import Filing, Next, trace_of, what_is_next
from worker.store import Unfinished

if TYPE_CHECKING:
    from worker.store import Store

logger = logging.getLogger(__name__)


def recover(worker: Worker, store: "Store", filing: Filing, config: Config) -> None:
    """Give the worker every unfinished photo that no other worker has in hand."""
    for row in store.unfinished():
        source = config.root / row.source
        try:
            _resume(worker, row, source, filing, config)
        except OSError as error:
            # It stays as it is, in the inbox and in the log, until a later start can read it.
            told = {"event": "not_recovered", "photo_id": row.photo_id, "path": source, "detail": str(error)}
            logger.warning("cannot be read now", extra=told)


def _resume(worker: Worker, row: Unfinished, source: Path, filing: Filing, config: Config) -> None:
    found = trace_of(source)
    photo = Photo(row.photo_id, source, found.identity.size_bytes if found.identity else 0)
    if row.destination is None:
        resume = worker.adopt if found.identity else worker.adopt_gone
        resume(photo)
        return
    destination = config.root / row.destination
    filing.discard_copy(row.photo_id, destination)
    told: dict[str, object] = {
        "event": "quarantined" if row.reason else "filed",
        "photo_id": row.photo_id,
        "path": row.source,
        "to": row.destination,
        "recovered": True,
    }
    leg = Leg(photo, row.folder, destination, found.identity, told)
    match what_is_next(row.sha256, found, trace_of(destination)):
        case Next.JUDGE:
            worker.adopt_changed(photo)
        case Next.MOVE:
            worker.adopt_leg(leg)
        case Next.RECORD:
            worker.adopt_arrived(leg)
        case Next.MISSING:
            worker.adopt_gone(photo)
