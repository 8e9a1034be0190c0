"""The photos that a worker has taken on, by what comes next for each."""

from dataclasses import dataclass, field
from pathlib import Path

from worker.daemon.planner import PendingMove, Photo, PlannedResult

_STUCK_TRIES = 3


@dataclass(slots=True)
class PhotosInHand:
    """Each photo is in one of the fields, here in the order of its life.

    `pending` wait to be predicted, `predicting` are in a child process (both by photo id), and `results` wait
    for their decision. `moves` are decided and wait to be moved, `arrivals` are moved and wait to be
    recorded.

    Three ways lead back or out: `retries` have to be predicted again, `readdressed` have to be moved to
    another name, `gone` have no file any more.
    """

    pending: dict[int, Photo] = field(default_factory=dict)
    predicting: dict[int, Photo] = field(default_factory=dict)
    results: list[tuple[Photo, PlannedResult]] = field(default_factory=list)
    moves: list[PendingMove] = field(default_factory=list)
    arrivals: list[PendingMove] = field(default_factory=list)
    retries: list[Photo] = field(default_factory=list)
    readdressed: list[PendingMove] = field(default_factory=list)
    gone: list[Photo] = field(default_factory=list)

    def __len__(self) -> int:
        decided = len(self.moves) + len(self.arrivals) + len(self.readdressed)
        undecided = len(self.results) + len(self.gone) + len(self.retries)
        return len(self.pending) + len(self.predicting) + undecided + decided

    @property
    def is_stuck(self) -> bool:
        """Whether every photo has been hindered again and again."""
        waiting = self._list_waiting()
        return len(waiting) == len(self) and all(photo.tries >= _STUCK_TRIES for photo in waiting)

    @property
    def has_urgent_news(self) -> bool:
        """Whether something is to be recorded at once; results and arrivals can wait for more of them."""
        return bool(self.gone or self.retries or self.readdressed)

    @property
    def has_batch(self) -> bool:
        """Whether a photo is between its prediction and its record; one that is hindered does not count."""
        is_moving = any(not move.photo.tries for move in self.moves)
        return bool(self.predicting or self.results or self.has_urgent_news or self.arrivals or is_moving)

    def count_fresh(self) -> int:
        """Count the pending photos that nothing has hindered."""
        return sum(not photo.tries for photo in self.pending.values())

    def count_hindered(self) -> int:
        """Count the photos that back off, before their prediction or before their move."""
        return sum(photo.tries > 0 for photo in self._list_waiting())

    def _list_waiting(self) -> list[Photo]:
        return [*(move.photo for move in self.moves), *self.pending.values()]

    def add_pending(self, photo: Photo) -> None:
        """Let a photo wait for its prediction, behind the others."""
        self.pending[photo.photo_id] = photo

    def list_due(self, now: float) -> list[Photo]:
        """Return the pending photos that may be predicted now."""
        return [photo for photo in self.pending.values() if photo.not_before <= now]

    def start_prediction(self, photos: list[Photo]) -> None:
        """Count pending photos as given to a child process."""
        for photo in photos:
            self.predicting[photo.photo_id] = self.pending.pop(photo.photo_id)

    def take_due_moves(self, now: float) -> dict[int, PendingMove]:
        """Remove and return the moves that are due, by photo id."""
        due = {move.photo.photo_id: move for move in self.moves if move.photo.not_before <= now}
        self.moves = [move for move in self.moves if move.photo.photo_id not in due]
        return due

    def list_reserved(self) -> set[Path]:
        """Return the destinations that are decided and may have no file yet."""
        # Not those of `arrivals`: their files are there, and whoever looks for a free name sees them.
        return {move.destination for move in [*self.moves, *self.readdressed]}

    def advance_recorded(self, moves: list[PendingMove], photos: list[Photo]) -> None:
        """Go on after a transaction that has decided `moves` and taken on `photos`, and recorded the rest."""
        self.moves += moves + self.readdressed
        self.pending |= {photo.photo_id: photo for photo in [*self.retries, *photos]}
        for recorded in (self.arrivals, self.gone, self.retries, self.readdressed, self.results):
            recorded.clear()
