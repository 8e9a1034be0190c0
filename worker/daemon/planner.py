"""Decide where a judged photo goes, and what the log will say of it."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.config import Config
from worker.fileio import Identity
from worker.filing import free_destination
from worker.pool.protocol import Judged, Refused
from worker.store import Content, Decision

_BACKOFF_SECONDS = 1.0
_BACKOFF_MOST_SECONDS = 60.0


@dataclass(slots=True)
class Photo:
    """A photo in hand; `source` is absolute, `not_before` a monotonic time, `tries` counts hindrances.

    `hindered_by` is the one that was told last.
    """

    photo_id: int
    source: Path
    size_bytes: int
    not_before: float = 0.0
    tries: int = 0
    hindered_by: str = ""

    def back_off(self, now: float) -> None:
        """Wait longer before each further try."""
        self.not_before = now + min(_BACKOFF_MOST_SECONDS, _BACKOFF_SECONDS * 2**self.tries)
        self.tries += 1


@dataclass(slots=True)
class Leg:
    """A decided photo on its way to `destination`; `identity` is of the file that was judged.

    `told` is what is logged of it once it has arrived.
    """

    photo: Photo
    folder: str
    destination: Path
    identity: Identity | None
    told: dict[str, object]


def folder_for(outcome: Judged | Refused, config: Config) -> str:
    """Name the folder that an outcome calls for."""
    if isinstance(outcome, Refused):
        return config.folders.quarantine
    if outcome.verdict.confidence < config.model.min_confidence:
        return config.folders.review
    return outcome.verdict.label


def destination_for(photo: Photo, folder: str, config: Config, reserved: Collection[Path]) -> Path:
    """Return a free path in the folder; folders below the inbox are kept below it."""
    wanted = config.root / folder / photo.source.relative_to(config.inbox_folder)
    return free_destination(wanted, lambda path: path in reserved or os.path.lexists(path))


def decide(
    photo: Photo, outcome: Judged | Refused, config: Config, reserved: Collection[Path], at: datetime
) -> tuple[Leg, Decision]:
    """Return the way that a photo has before it, and the decision to record before it sets out."""
    folder = folder_for(outcome, config)
    destination = destination_for(photo, folder, config, reserved)
    relative = destination.relative_to(config.root)
    told: dict[str, object] = {
        "event": "filed",
        "photo_id": photo.photo_id,
        "path": photo.source.relative_to(config.root),
        "to": relative,
    }
    leg = Leg(photo, folder, destination, outcome.file.identity if outcome.file else None, told)
    content = _content(photo, outcome)
    match outcome:
        case Judged(_, _, _, _, verdict):
            told |= {"label": verdict.label, "confidence": round(verdict.confidence, 3)}
            return leg, Decision(photo.photo_id, folder, relative, content, verdict, None, None, at)
        case Refused(_, _, reason, detail):
            told |= {"event": "quarantined", "reason": reason.value, "detail": detail}
            return leg, Decision(photo.photo_id, folder, relative, content, None, reason, detail, at)


def _content(photo: Photo, outcome: Judged | Refused) -> Content:
    if outcome.file is None:
        return Content(None, photo.size_bytes, None, None)
    sha256, size_bytes = outcome.file.sha256, outcome.file.identity.size_bytes
    if isinstance(outcome, Judged):
        return Content(sha256, size_bytes, outcome.width, outcome.height)
    return Content(sha256, size_bytes, None, None)
