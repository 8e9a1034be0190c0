"""Take photos through their life: settled, taken on, predicted, decided, moved, recorded."""

import logging
import math
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.lock_wait import LockWait
from worker.daemon.photos_in_hand import PhotosInHand
from worker.daemon.planner import PendingMove, Photo, choose_destination, plan_move
from worker.daemon.presence_check import PresenceCheck
from worker.errors import Locked
from worker.fileio import FileIdentity
from worker.filing import (
    DestinationTaken,
    Move,
    MoveContinues,
    Moved,
    MoveHindered,
    Mover,
    MoveResult,
    SourceChanged,
)
from worker.inbox import Inbox, SettledFile, Writer
from worker.pool.pool import Pool, compute_share
from worker.pool.prediction_task import PhotoResult
from worker.pool.protocol import Completed, Delayed, Gone, Job, JobResult, Refused
from worker.store import Arrival, Decision, Model

if TYPE_CHECKING:  # child processes are started before SQLAlchemy is imported, which takes a while
    from worker.store import Store, Turn

logger = logging.getLogger(__name__)

_RECORD_SECONDS = 0.25
"""How long results and moves may wait for others, to be written in the same transaction."""

_MAX_HINDERED = 512
"""So many photos may back off before no more are taken on. On PostgreSQL each holds a lock, of which a server
has 6,400 by default (64 for each of 100 connections), for all workers and programs together."""

_UNKNOWN_WRITER_PATIENCE = 10
"""How many `settle_seconds` a file is given that looks broken, where the kernel tells of no writers."""


class Worker:
    """One turn at a time: `step` does what is due and returns; nothing in it waits.

    What the database says of a photo never runs ahead of what has happened to its file, and the file never
    moves ahead of the decision.
    """

    def __init__(
        self,
        config: Config,
        store: "Store",
        model: Model,
        pool: Pool[PhotoResult],
        inbox: Inbox,
        mover: Mover,
        presence_check: PresenceCheck,
        clock: Clock,
        recover: Callable[["Worker"], bool],
    ) -> None:
        """`recover` gives the worker what stopped ones have left; it returns whether nothing was hindered.

        `tally` counts the finished photos by folder; `photo_seconds` are the times that those took which were
        predicted in the last step.
        """
        self._config = config
        self._store = store
        self._pool = pool
        self._inbox = inbox
        self._mover = mover
        self._presence_check = presence_check
        self._clock = clock
        self._recover = recover
        self._next_recovery = math.inf
        self._photos = PhotosInHand()
        self._settled_files: list[SettledFile] = []
        self._lock_wait = LockWait()
        self._first_arrival_at = 0.0
        self._first_result_at = 0.0
        self._is_draining = False
        self.model = model
        self.tally: Counter[str] = Counter()
        self.photo_seconds: list[float] = []

    @property
    def in_hand(self) -> int:
        """How many photos were taken on, or are about to be, and are not finished."""
        return len(self._photos) + len(self._settled_files)

    @property
    def candidates(self) -> int:
        """How many files of the inbox are known and not taken on yet."""
        return self._inbox.candidate_count

    @property
    def is_scanning(self) -> bool:
        """Whether there may be more candidates than are known."""
        return self._inbox.is_scanning

    @property
    def restarts(self) -> int:
        """How many child processes have died and were replaced."""
        return self._pool.restarts

    @property
    def connections(self) -> list[int]:
        """What to wait on for news."""
        return [*self._pool.connections, self._inbox.fileno()]

    @property
    def is_stuck(self) -> bool:
        """Whether all that is in hand is hindered, again and again."""
        return self._photos.is_stuck or self._lock_wait.is_long

    def is_stalled(self, now: float) -> bool:
        """Tell whether nothing comes from the child processes any more."""
        return self._pool.is_stalled(now)

    @property
    def has_batch_in_hand(self) -> bool:
        """Whether a photo is on its way that `drain` waits for."""
        return self._photos.has_batch

    @property
    def _is_idle(self) -> bool:
        return not self._is_draining and not self.has_batch_in_hand

    def drain(self) -> None:
        """Take on nothing more, and predict nothing more; what is under way goes on."""
        self._is_draining = True

    def resume_unfinished(self, now: float) -> None:
        """Resume what stopped workers have left, again after `rescan_seconds` where more may be left then.

        That is where others share the inbox, and where something was hindered.
        """
        is_complete = self._recover(self)
        is_over = is_complete and not self._store.shares_inbox
        self._next_recovery = math.inf if is_over else now + self._config.inbox.rescan_seconds

    def adopt(self, photo: Photo) -> None:
        """Take over a pending photo that a stopped worker has left."""
        self._inbox.hold(photo.source)
        self._photos.add_pending(photo)

    def adopt_move(self, move: PendingMove) -> None:
        """Take over a decided photo that has not left the inbox, or only half."""
        self._inbox.hold(move.photo.source)
        self._photos.moves.append(move)

    def adopt_copied(self, move: PendingMove) -> None:
        """Take over a decided photo of which only a copy is left, under a private name."""
        # Not held: a file at its old path is another photo by now.
        self._photos.moves.append(move)

    def adopt_arrived(self, move: PendingMove) -> None:
        """Take over a decided photo that has `arrived`, which its row does not say yet."""
        # Not held: a file at its old path is another photo by now.
        self._photos.arrivals.append(move)

    def adopt_gone(self, photo: Photo) -> None:
        """Take over a photo whose file has gone."""
        self._photos.gone.append(photo)

    def adopt_changed(self, photo: Photo) -> None:
        """Take over a decided photo whose file has changed since."""
        self._inbox.hold(photo.source)
        self._photos.retries.append(photo)

    def step(self, now: float) -> None:
        """Do one turn. Raises Transient where the database does not answer: open another worker then."""
        self.photo_seconds.clear()
        # First, so that the processes work on while this turn records and moves.
        self._collect(now)
        self._submit(now)
        if not self._is_draining:
            self._settled_files += self._inbox.take_settled(now, self._room)
        if now >= self._lock_wait.not_before:
            self._use_database(now)
        # Once more: a process that has finished during the transaction need not wait for the moves as well.
        self._collect(now)
        self._submit(now)
        self._move(now)

    def _use_database(self, now: float) -> None:
        """Do what reads or writes the log; where that is locked, it stays to be done in a later turn."""
        try:
            if now >= self._compute_next_write():
                self._write()
            # Not before: what is resumed may be among the files that are about to be taken on.
            if now >= self._next_recovery and not self._is_draining:
                self.resume_unfinished(now)
            self._inbox.return_strays()
            if self._is_idle:
                self._presence_check.step(now)
        except Locked as error:
            self._lock_wait.fail(error, now)
        else:
            self._lock_wait.succeed()

    def compute_next_due(self) -> float:
        """Return the time of the next step, unless news comes before."""
        if any(move.photo.tries == 0 for move in self._photos.moves):
            return -math.inf
        times = [self._pool.next_deadline()]
        times += [move.photo.not_before for move in self._photos.moves]
        if not self._is_draining and self._pool.room:
            times += [photo.not_before for photo in self._photos.pending.values()]
        return min(*times, max(self._compute_next_use(), self._lock_wait.not_before))

    def _compute_next_use(self) -> float:
        """Return when the database is used next, if it is not locked."""
        times = [self._compute_next_write()]
        if self._room and not self._is_draining:
            times.append(self._inbox.next_due())
        if self._is_idle:
            times.append(self._presence_check.next_due)
        return min(times)

    @property
    def _room(self) -> int:
        # Twice what the processes can hold, so that the next batches lie ready while these are recorded.
        # A batch at a time: a transaction costs the same for one photo as for many. Photos that back off do
        # not count, or a few of them would keep all others out; only a great many do.
        if self._photos.count_hindered() >= _MAX_HINDERED:
            return 0
        batch = self._config.model.batch_size
        waiting = self._photos.count_fresh() + len(self._photos.predicting) + len(self._settled_files)
        room = 2 * self._pool.size * batch - waiting
        return room if room >= batch else 0

    def _compute_next_write(self) -> float:
        """Return when to write; results and moves wait a little for those that are still in the processes."""
        waits_since = [self._first_result_at] if self._photos.results else []
        waits_since += [self._first_arrival_at] if self._photos.arrivals else []
        has_batch = len(self._photos.results) >= self._config.model.batch_size
        is_urgent = self._photos.has_urgent_news or bool(self._settled_files)
        if is_urgent or has_batch or (waits_since and not self._pool.is_busy):
            return -math.inf
        return min(waits_since, default=math.inf) + _RECORD_SECONDS

    def _collect(self, now: float) -> None:
        if not self._photos.results:
            self._first_result_at = now
        for result in self._pool.collect(now):
            if isinstance(result, Completed):
                self.photo_seconds.append(result.seconds)
            self._sort(result, now)

    def _sort(self, result: JobResult[PhotoResult], now: float) -> None:
        photo = self._photos.predicting.pop(result.key)
        match result:
            case Gone():
                self._photos.gone.append(photo)
            case Delayed(_, detail, seconds):
                photo.back_off(now, seconds)
                self._photos.add_pending(photo)
                _log_hindrance(photo, detail)
            case Refused(_, file) if file is not None and self._defer_growing(photo, file.identity, now):
                self._photos.add_pending(photo)
            case Completed() | Refused():
                self._photos.results.append((photo, result))

    def _defer_growing(self, photo: Photo, identity: FileIdentity, now: float) -> bool:
        """Put off a photo that looks broken and may still grow; return whether it was put off.

        A writer may close and open it again between two writes. One that the kernel does not tell of may also
        be slow, and its file is given longer.
        """
        writer = self._inbox.find_writer(photo.source)
        if writer is Writer.PRESENT:
            photo.back_off(now)
            _log_hindrance(photo, "it looks broken, and a program is writing it")
            return True
        patience = 1 if writer is Writer.NONE else _UNKNOWN_WRITER_PATIENCE
        age = self._clock.wall() - identity.changed_ns / 1e9
        # Not negative: after a clock was set back, a broken photo would be young until it catches up.
        if not 0 <= age < patience * self._config.inbox.settle_seconds:
            return False
        photo.not_before = now + self._config.inbox.settle_seconds
        return True

    def _submit(self, now: float) -> None:
        if self._is_draining or not self._pool.room:
            return
        due = self._photos.list_due(now)
        share = compute_share(len(due), self._pool.size, self._config.model.batch_size)
        while due and self._pool.room:
            batch, due = due[:share], due[share:]
            self._photos.start_prediction(batch)
            self._pool.submit([Job(photo.photo_id, photo.source) for photo in batch], now)

    def _write(self) -> None:
        """Record everything that has happened since the last turn, and take the next photos on."""
        at = datetime.fromtimestamp(self._clock.wall(), UTC)
        plans = self._plan_moves(at)
        with self._store.begin_turn() as turn:
            for move in self._photos.arrivals:
                file = move.arrived.remember() if move.arrived else None
                turn.record_filed(move.photo.photo_id, file, at)
            for photo in self._photos.gone:
                turn.record_missing(photo.photo_id, "its file was gone before it could be read", at)
            for photo in self._photos.retries:
                turn.retry(photo.photo_id, at)
            for move in self._photos.readdressed:
                turn.readdress(move.photo.photo_id, self._make_relative(move.destination))
            for _, decision in plans:
                turn.decide(decision, self.model.model_id)
            # Last: a new photo may have the path of one that is active until this turn records it as filed.
            photos = self._take_on(turn, at)
        self._finish_turn([move for move, _ in plans], photos)

    def _take_on(self, turn: "Turn", at: datetime) -> list[Photo]:
        """Take on the settled files, but for those that another worker has, or has filed since."""
        arrivals = [
            Arrival(self._make_relative(file.path), file.identity.size_bytes, at)
            for file in self._settled_files
        ]
        photos = []
        for file, photo_id in zip(self._settled_files, turn.take_on(arrivals), strict=True):
            if photo_id is None:
                continue
            if self._store.shares_inbox and not os.path.lexists(file.path):
                turn.withdraw(photo_id)
            else:
                photos.append(Photo(photo_id, file.path, file.identity.size_bytes))
        return photos

    def _finish_turn(self, moves: list[PendingMove], photos: list[Photo]) -> None:
        """Log what the transaction has recorded, and go on with what it has decided and taken on."""
        for move in self._photos.arrivals:
            self._inbox.let_go(move.photo.source)
            self.tally[move.folder] += 1
            logger.info(move.log_fields["event"], extra=move.log_fields)
        for photo in self._photos.gone:
            self._inbox.let_go(photo.source)
            self.tally["missing"] += 1
            path = self._make_relative(photo.source)
            logger.warning("missing", extra={"event": "missing", "photo_id": photo.photo_id, "path": path})
        for path in {file.path for file in self._settled_files} - {photo.source for photo in photos}:
            if self._store.shares_inbox:  # another worker has it, or has filed it
                self._inbox.let_go(path)
            else:
                # A photo that had this path is still on its way: this one has come since.
                self._inbox.postpone(path, self._clock.monotonic() + self._config.inbox.settle_seconds)
        self._settled_files.clear()
        self._photos.advance_recorded(moves, photos)

    def _plan_moves(self, at: datetime) -> list[tuple[PendingMove, Decision]]:
        reserved = self._photos.list_reserved()
        plans = []
        for photo, result in self._photos.results:
            plans.append(plan_move(photo, result, self._config, reserved, at))
            reserved.add(plans[-1][0].destination)
        return plans

    def _move(self, now: float) -> None:
        due = self._photos.take_due_moves(now)
        if not due:
            return
        moves = [
            Move(
                photo_id,
                self._make_relative(move.photo.source),
                self._make_relative(move.destination),
                move.identity,
            )
            for photo_id, move in due.items()
        ]
        for result in self._mover.move_all(moves):
            self._take_result(result, due[result.move.photo_id], now)

    def _take_result(self, result: MoveResult, move: PendingMove, now: float) -> None:
        match result:
            case Moved(_, identity):
                self._first_arrival_at = self._first_arrival_at if self._photos.arrivals else now
                move.arrived = identity
                self._photos.arrivals.append(move)
            case MoveContinues():
                self._photos.moves.append(move)
            case DestinationTaken():
                reserved = self._photos.list_reserved()
                move.destination = choose_destination(move.photo, move.folder, self._config, reserved)
                move.log_fields["to"] = self._make_relative(move.destination)
                self._photos.readdressed.append(move)
            case SourceChanged():
                move.photo.not_before = now + self._config.inbox.settle_seconds
                self._photos.retries.append(move.photo)
            case MoveHindered(_, detail):
                move.photo.back_off(now)
                self._photos.moves.append(move)
                _log_hindrance(move.photo, f"it cannot be moved to {move.destination}: {detail}")

    def _make_relative(self, path: Path) -> Path:
        return path.relative_to(self._config.root)


def _log_hindrance(photo: Photo, detail: str) -> None:
    # A full disk hinders a photo at every try: one line says so, not one a minute for a weekend.
    if photo.hindered_by == detail:
        return
    photo.hindered_by = detail
    fields = {"event": "hindered", "photo_id": photo.photo_id, "path": photo.source, "detail": detail}
    logger.warning("left where it is for now", extra=fields)
