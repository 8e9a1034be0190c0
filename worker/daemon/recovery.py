"""Resume what a stopped worker has left, from its rows and the files themselves."""

import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.planner import PendingMove, Photo, name_event
from worker.daemon.worker import Worker
from worker.filing import (
    DecidedFile,
    Mover,
    PathState,
    RecoveryAction,
    parse_leaving,
    plan_recovery,
    read_path_state,
)
from worker.store import Unfinished
from worker.tree import Tree

if TYPE_CHECKING:
    from worker.store import Store

logger = logging.getLogger(__name__)


class Recovery:
    """Gives a worker the unfinished photos that no other worker has in hand."""

    def __init__(self, store: "Store", mover: Mover, config: Config) -> None:
        self._store = store
        self._mover = mover
        self._config = config
        self._hindrances: dict[int, str] = {}

    def run(self, worker: Worker) -> bool:
        """Resume what can be resumed now; return whether that was everything."""
        rows = self._store.take_unfinished()
        hindrances = {}
        for row in rows:
            try:
                self._resume(worker, row)
            except OSError as error:
                hindrances[row.photo_id] = str(error)
                self._log_hindrance(row, str(error))
        # Stay as they are, in the inbox and in the log, until the next call.
        self._store.give_back(hindrances)
        self._hindrances = hindrances
        return not hindrances

    def _log_hindrance(self, row: Unfinished, detail: str) -> None:
        # A folder that is read-only for a weekend is one line for each photo, not one every half minute.
        if self._hindrances.get(row.photo_id) != detail:
            path = self._config.root / row.source
            fields = {"event": "not_recovered", "photo_id": row.photo_id, "path": path, "detail": detail}
            logger.warning("cannot be resumed now, and is tried again", extra=fields)

    def _resume(self, worker: Worker, row: Unfinished) -> None:
        copy = None
        if row.destination is not None:
            copy = self._mover.settle_private_names(row.photo_id, row.source, row.destination, row.file)
        with closing(Tree(self._config.root)) as tree:
            source = read_path_state(tree, row.source)
            size_bytes = source.identity.size_bytes if source.identity else 0
            photo = Photo(row.photo_id, self._config.root / row.source, size_bytes)
            if row.destination is None:
                resume = worker.adopt if source.identity else worker.adopt_gone
                resume(photo)
                return
            move = self._make_move(row, row.destination, photo, source)
            decided = DecidedFile(row.file, row.sha256)
            destination = read_path_state(tree, row.destination)
            move.arrived = destination.identity
            action = plan_recovery(decided, source, destination)
        if copy is not None and action is not RecoveryAction.MOVE:
            move.identity = copy
            worker.adopt_copied(move)
        else:
            _carry_out(action, worker, move)

    def _make_move(self, row: Unfinished, destination: Path, photo: Photo, source: PathState) -> PendingMove:
        log_fields: dict[str, object] = {
            "event": name_event(row.reason),
            "photo_id": row.photo_id,
            "path": row.source,
            "to": destination,
            "recovered": True,
        }
        return PendingMove(photo, row.folder, self._config.root / destination, source.identity, log_fields)

    def return_stray(self, path: Path) -> bool:
        """Give a visible name to a file that was leaving the inbox when its row was lost.

        Returns whether that was done. Raises Transient where the database does not answer.
        """
        photo_id = parse_leaving(path.name)
        # Where others share the inbox, one of them may be at work on what looks like a stray.
        if photo_id is None or self._store.shares_inbox or self._store.is_unfinished(photo_id):
            return False
        try:
            self._mover.return_stray(path.relative_to(self._config.root), photo_id)
        except OSError as error:
            fields = {"event": "not_recovered", "path": path, "detail": str(error)}
            logger.warning("cannot be put back now", extra=fields)
            return False
        logger.warning("put back under a new name", extra={"event": "put_back", "path": path})
        return True


def _carry_out(action: RecoveryAction, worker: Worker, move: PendingMove) -> None:
    match action:
        case RecoveryAction.PREDICT:
            worker.adopt_changed(move.photo)
        case RecoveryAction.MOVE:
            worker.adopt_move(move)
        case RecoveryAction.RECORD:
            worker.adopt_arrived(move)
        case RecoveryAction.MISSING:
            worker.adopt_gone(move.photo)
