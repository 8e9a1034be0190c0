"""Take photos through their life: settled, taken on, judged, decided, moved, recorded."""

import logging
import math
import os
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.planner import Leg, Photo, decide, destination_for
from worker.fileio import Identity
from worker.filing import Changed, Filing, Hindered, Move, Moved, Result, Taken
from worker.inbox import Inbox, Settled
from worker.pool.pool import Pool, share_of
from worker.pool.protocol import Delayed, Gone, Job, Judged, Outcome, Refused
from worker.store import Arrival, Decision

if TYPE_CHECKING:  # the classifier processes are to be started before SQLAlchemy is imported
    from worker.store import Store, Turn

logger = logging.getLogger(__name__)

_STUCK_TRIES = 3

_RECORD_SECONDS = 0.25
"""How long moves may wait to be recorded in the same transaction as the next decisions."""

_MOVED_BYTES = 1 << 28
"""How much is moved in one turn: between file systems it is copied, and signals wait for the turn's end."""


class Worker:
    """One turn at a time: `step` does what is due and returns; nothing in it waits.

    A photo is in one of these: `_waiting` (pending), `_judging`, `_outcomes` (judged, to be decided),
    `_legs` (decided, to be moved), `_arrived` (moved, to be recorded). What the database says of it never
    runs ahead of what has happened to its file, and the file never moves ahead of the decision.
    """

    def __init__(
        self,
        config: Config,
        store: "Store",
        model_id: int,
        pool: Pool,
        inbox: Inbox,
        filing: Filing,
        clock: Clock,
        recover: Callable[["Worker"], None],
    ) -> None:
        """`recover` gives the worker, by the `adopt…` methods, what stopped ones have left."""
        self._config = config
        self._store = store
        self._model_id = model_id
        self._pool = pool
        self._inbox = inbox
        self._filing = filing
        self._clock = clock
        self._recover = recover
        self._next_recovery = math.inf
        self._waiting: deque[Photo] = deque()
        self._judging: dict[int, Photo] = {}
        self._outcomes: list[tuple[Photo, Judged | Refused]] = []
        self._gone: list[Photo] = []
        self._again: list[Photo] = []
        self._readdressed: list[Leg] = []
        self._legs: list[Leg] = []
        self._arrived: list[Leg] = []
        self._arrived_at = 0.0
        self._is_draining = False
        self.tally: Counter[str] = Counter()

    @property
    def in_hand(self) -> int:
        """How many photos were taken on and are not finished."""
        decided = len(self._legs) + len(self._arrived) + len(self._readdressed)
        judged = len(self._outcomes) + len(self._gone) + len(self._again)
        return len(self._waiting) + len(self._judging) + judged + decided

    @property
    def waiting(self) -> int:
        """How many files of the inbox are known and not taken on yet."""
        return self._inbox.waiting

    @property
    def connections(self) -> list[Connection | int]:
        """What to wait on for news."""
        return [*self._pool.connections, self._inbox.fileno()]

    @property
    def is_stuck(self) -> bool:
        """Whether all that is in hand is hindered, again and again."""
        held = [leg.photo for leg in self._legs] + list(self._waiting)
        return len(held) == self.in_hand and all(photo.tries >= _STUCK_TRIES for photo in held)

    def is_stalled(self, now: float) -> bool:
        """Tell whether nothing comes from the classifier processes any more."""
        return self._pool.is_stalled(now)

    @property
    def has_batch_in_hand(self) -> bool:
        """Whether a photo is on its way that `drain` waits for."""
        return bool(self._judging or self._has_news or self._arrived) or any(
            not leg.photo.tries for leg in self._legs
        )

    def drain(self) -> None:
        """Take nothing more on: neither from the inbox nor to be judged."""
        self._is_draining = True

    def take_up(self, now: float) -> None:
        """Take up what stopped workers have left; where others share the inbox, at each rescan again."""
        self._recover(self)
        if self._store.shares_inbox:
            self._next_recovery = now + self._config.inbox.rescan_seconds

    def adopt(self, photo: Photo) -> None:
        """Take up a pending photo that a stopped worker has left."""
        self._inbox.hold(photo.source)
        self._waiting.append(photo)

    def adopt_leg(self, leg: Leg) -> None:
        """Take up a decided photo that has not, or not quite, left the inbox."""
        self._inbox.hold(leg.photo.source)
        self._legs.append(leg)

    def adopt_arrived(self, leg: Leg) -> None:
        """Take up a decided photo that has arrived, which its row does not say yet."""
        self._arrived.append(leg)

    def adopt_gone(self, photo: Photo) -> None:
        """Take up a photo whose file has gone."""
        self._gone.append(photo)

    def adopt_changed(self, photo: Photo) -> None:
        """Take up a decided photo whose file is not what it was."""
        self._inbox.hold(photo.source)
        self._again.append(photo)

    def step(self, now: float) -> None:
        """Do one turn. Raises Transient where the database does not answer: open another worker then."""
        self._collect(now)
        if now >= self._next_recovery and not self._is_draining:
            self.take_up(now)
        self._feed(now)
        settled = self._inbox.settled(now, self._room) if not self._is_draining else []
        if settled or now >= self._writing_due():
            self._write(settled)
        self._collect(now)  # what was judged meanwhile, so that its process need not wait for the moves, too
        self._feed(now)
        self._move(now)

    def next_due(self) -> float:
        """Return the time of the next step, unless news comes before."""
        if any(leg.photo.tries == 0 for leg in self._legs):
            return -math.inf
        times = [self._writing_due(), self._pool.next_deadline()]
        times += [leg.photo.not_before for leg in self._legs]
        if not self._is_draining:
            if self._pool.room:
                times += [photo.not_before for photo in self._waiting]
            if self._room:
                times.append(self._inbox.next_due())
        return min(times)

    @property
    def _room(self) -> int:
        # Twice what the processes have in hand, so that the next batches lie ready while these are recorded.
        # A batch at a time: a transaction costs the same for one photo as for many.
        batch = self._config.model.batch_size
        waiting = sum(not photo.tries for photo in self._waiting)  # those that back off hold up no other
        room = 2 * self._pool.size * batch - waiting - len(self._judging)
        return room if room >= batch else 0

    @property
    def _has_news(self) -> bool:
        return bool(self._outcomes or self._gone or self._again or self._readdressed)

    def _writing_due(self) -> float:
        """Return when to write; moves wait for the decisions on the batch that is being judged."""
        if self._has_news or (self._arrived and not self._pool.is_busy):
            return -math.inf
        return self._arrived_at + _RECORD_SECONDS if self._arrived else math.inf

    def _collect(self, now: float) -> None:
        for outcome in self._pool.collect(now):
            self._sort(outcome, now)

    def _sort(self, outcome: Outcome, now: float) -> None:
        photo = self._judging.pop(outcome.key)
        match outcome:
            case Gone():
                self._gone.append(photo)
            case Delayed(_, detail):
                photo.back_off(now)
                self._waiting.append(photo)
                _tell_hindrance(photo, detail)
            case Refused(_, file) if file is not None and self._is_young(file.identity):
                photo.not_before = now + self._config.inbox.settle_seconds
                self._waiting.append(photo)
            case Judged() | Refused():
                self._outcomes.append((photo, outcome))

    def _is_young(self, identity: Identity) -> bool:
        """Tell whether a file may still grow: a writer may close and open it again between two writes."""
        age = self._clock.wall() - identity.changed_ns / 1e9
        return 0 <= age < self._config.inbox.settle_seconds

    def _feed(self, now: float) -> None:
        if self._is_draining or not self._pool.room:
            return
        due = [photo for photo in self._waiting if photo.not_before <= now]
        share = share_of(len(due), self._pool.size, self._config.model.batch_size)
        while due and self._pool.room:
            batch, due = due[:share], due[share:]
            for photo in batch:
                self._waiting.remove(photo)
                self._judging[photo.photo_id] = photo
            self._pool.submit([Job(photo.photo_id, photo.source) for photo in batch], now)

    def _write(self, settled: list[Settled]) -> None:
        """Record everything that has happened since the last turn, and take the next photos on."""
        at = datetime.fromtimestamp(self._clock.wall(), UTC)
        decided = self._decided(at)
        with self._store.turn() as turn:
            for leg in self._arrived:
                turn.record_filed(leg.photo.photo_id, at)
            for photo in self._gone:
                turn.record_missing(photo.photo_id, "its file was gone before it could be judged")
            for photo in self._again:
                turn.retry(photo.photo_id)
            for leg in self._readdressed:
                turn.readdress(leg.photo.photo_id, self._relative(leg.destination))
            for _, decision in decided:
                turn.decide(decision, self._model_id)
            taken = self._take_on(turn, settled, at)
        self._committed([leg for leg, _ in decided], taken)

    def _take_on(self, turn: "Turn", settled: list[Settled], at: datetime) -> list[Photo]:
        arrivals = [Arrival(self._relative(each.path), each.identity.size_bytes, at) for each in settled]
        taken = []
        for each, photo_id in zip(settled, turn.take_on(arrivals), strict=True):
            if photo_id is None:  # another worker has it
                self._inbox.let_go(each.path)
            elif self._store.shares_inbox and not os.path.lexists(each.path):
                turn.withdraw(photo_id)  # another worker has filed it since it was seen
                self._inbox.let_go(each.path)
            else:
                taken.append(Photo(photo_id, each.path, each.identity.size_bytes))
        return taken

    def _committed(self, legs: list[Leg], taken: list[Photo]) -> None:
        for leg in self._arrived:
            self._inbox.let_go(leg.photo.source)
            self.tally[leg.folder] += 1
            logger.info("quarantined" if leg.told["event"] == "quarantined" else "filed", extra=leg.told)
        for photo in self._gone:
            self._inbox.let_go(photo.source)
            self.tally["missing"] += 1
            told = {"event": "missing", "photo_id": photo.photo_id, "path": self._relative(photo.source)}
            logger.warning("missing", extra=told)
        self._legs += legs + self._readdressed
        self._waiting += self._again + taken
        for done in (self._arrived, self._gone, self._again, self._readdressed, self._outcomes):
            done.clear()

    def _decided(self, at: datetime) -> list[tuple[Leg, Decision]]:
        reserved = self._reserved()
        decided = []
        for photo, outcome in self._outcomes:
            decided.append(decide(photo, outcome, self._config, reserved, at))
            reserved.add(decided[-1][0].destination)
        return decided

    def _reserved(self) -> set[Path]:
        return {leg.destination for leg in [*self._legs, *self._readdressed]}

    def _move(self, now: float) -> None:
        due: dict[int, Leg] = {}
        size_bytes = 0
        for leg in self._legs:
            if leg.photo.not_before <= now and size_bytes < _MOVED_BYTES:
                due[leg.photo.photo_id] = leg
                size_bytes += leg.photo.size_bytes
        if not due:
            return
        self._legs = [leg for leg in self._legs if leg.photo.photo_id not in due]
        moves = [
            Move(photo_id, leg.photo.source, leg.destination, leg.identity) for photo_id, leg in due.items()
        ]
        for result in self._filing.move_all(moves):
            self._take_result(result, due[result.move.photo_id], now)

    def _take_result(self, result: Result, leg: Leg, now: float) -> None:
        match result:
            case Moved():
                self._arrived_at = now if not self._arrived else self._arrived_at
                self._arrived.append(leg)
            case Taken():
                leg.destination = destination_for(leg.photo, leg.folder, self._config, self._reserved())
                leg.told["to"] = self._relative(leg.destination)
                self._readdressed.append(leg)
            case Changed():
                leg.photo.not_before = now + self._config.inbox.settle_seconds
                self._again.append(leg.photo)
            case Hindered(_, detail):
                leg.photo.back_off(now)
                self._legs.append(leg)
                _tell_hindrance(leg.photo, f"it cannot be moved to {leg.destination}: {detail}")

    def _relative(self, path: Path) -> Path:
        return path.relative_to(self._config.root)


def _tell_hindrance(photo: Photo, detail: str) -> None:
    if photo.hindered_by == detail:
        return
    photo.hindered_by = detail
    told = {"event": "hindered", "photo_id": photo.photo_id, "path": photo.source, "detail": detail}
    logger.warning("left where it is for now", extra=told)
