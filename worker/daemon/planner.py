"""Decide where a photo goes, and what the log will say of it."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.config import Config
from worker.errors import REVIEW_REASONS, Reason
from worker.fileio import FileIdentity
from worker.paths import find_free_path
from worker.pool.prediction_task import PhotoResult
from worker.pool.protocol import Completed, Refused
from worker.store import Content, Decision

_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 60.0

PlannedResult = Completed[PhotoResult] | Refused
"""The results of a job that say where a photo goes."""


@dataclass(slots=True)
class Photo:
    """A photo in hand; `source` is absolute, `not_before` the monotonic time of its next try.

    `tries` counts what has hindered it, `hindered_by` is the hindrance that was logged last.
    """

    photo_id: int
    source: Path
    size_bytes: int
    not_before: float = 0.0
    tries: int = 0
    hindered_by: str = ""

    def back_off(self, now: float, seconds: float = 0.0) -> None:
        """Wait longer before each further try, and `seconds` at least."""
        self.not_before = now + max(seconds, min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**self.tries))
        self.tries += 1


@dataclass(slots=True)
class PendingMove:
    """A decided photo on its way to `destination`; `identity` is that of the file that was read.

    `log_fields` are logged once it has arrived; `arrived` is the file at the destination from then on.
    """

    photo: Photo
    folder: str
    destination: Path
    identity: FileIdentity | None
    log_fields: dict[str, object]
    arrived: FileIdentity | None = None


def choose_folder(result: PlannedResult, config: Config) -> str:
    """Name the folder that a result calls for."""
    if isinstance(result, Refused):
        return config.folders.quarantine
    reason, _ = explain_folder(result, config)
    return config.folders.review if reason else result.result.prediction.label


def explain_folder(result: PlannedResult, config: Config) -> tuple[Reason | None, str | None]:
    """Return why a photo does not go to its label's folder, as a code and a sentence; else None for both."""
    if isinstance(result, Refused):
        return result.reason, result.detail
    prediction = result.result.prediction
    # Before the confidence: it says more, and holds however confident the prediction is.
    if config.model.no_face == "review" and prediction.faces == ():
        return Reason.NO_FACE, "no face is detected in it, and model.no_face is review"
    if prediction.confidence < config.model.min_confidence:
        limit = f"model.min_confidence is {config.model.min_confidence:g}"
        return Reason.UNSURE, f"the confidence of {prediction.label} is {prediction.confidence:.3f}; {limit}"
    return None, None


def choose_destination(photo: Photo, folder: str, config: Config, reserved: Collection[Path]) -> Path:
    """Return a free path in the folder; folders below the inbox are kept below it."""
    path = config.root / folder / photo.source.relative_to(config.inbox_folder)
    # The disk alone is not enough: several photos of one batch may ask for a name before the first has moved.
    return find_free_path(path, lambda name: name in reserved or os.path.lexists(name))


def plan_move(
    photo: Photo, result: PlannedResult, config: Config, reserved: Collection[Path], at: datetime
) -> tuple[PendingMove, Decision]:
    """Return the move of a photo, and the decision to record before the photo is moved."""
    folder = choose_folder(result, config)
    destination = choose_destination(photo, folder, config, reserved)
    relative = destination.relative_to(config.root)
    reason, detail = explain_folder(result, config)
    log_fields: dict[str, object] = {
        "event": name_event(reason),
        "photo_id": photo.photo_id,
        "path": photo.source.relative_to(config.root),
        "to": relative,
    }
    if reason is not None:
        log_fields |= {"reason": reason.value, "detail": detail}
    prediction = None if isinstance(result, Refused) else result.result.prediction
    if prediction is not None:
        log_fields |= {"label": prediction.label, "confidence": round(prediction.confidence, 3)}
    move = PendingMove(photo, folder, destination, result.file.identity if result.file else None, log_fields)
    content = _describe_content(photo, result)
    file = move.identity.remember() if move.identity else None
    return move, Decision(photo.photo_id, folder, relative, content, prediction, reason, detail, at, file)


def name_event(reason: Reason | None) -> str:
    """Name what happens to a photo, for the log: filed, or sent to review or quarantine for a reason."""
    if reason is None:
        return "filed"
    return "review" if reason in REVIEW_REASONS else "quarantined"


def _describe_content(photo: Photo, result: PlannedResult) -> Content:
    if result.file is None:
        return Content(None, photo.size_bytes, None, None)
    sha256, size_bytes = result.file.sha256, result.file.identity.size_bytes
    if isinstance(result, Refused):
        return Content(sha256, size_bytes, None, None)
    return Content(sha256, size_bytes, result.result.width, result.result.height)
