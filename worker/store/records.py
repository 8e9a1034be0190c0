"""What goes into the database and what comes out of it for a worker, as plain records.

Paths are relative to the root folder; times are aware, in UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from worker.errors import Reason
from worker.inference.prediction import Prediction


class Status(StrEnum):
    """Where a photo is in its life."""

    PENDING = "pending"
    DECIDED = "decided"
    FILED = "filed"
    QUARANTINED = "quarantined"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A settled file that the worker takes on."""

    source: Path
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file, as far as it could be read; width and height are of the upright picture."""

    sha256: str | None
    size_bytes: int
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Where one photo goes, and why: a verdict, or the reason why there is none.

    `folder` is the name of the label folder, of review or of quarantine; `destination` the exact path.
    """

    photo_id: int
    folder: str
    destination: Path
    content: Content
    verdict: Prediction | None
    reason: Reason | None
    detail: str | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A row that is pending or decided: what a worker that was stopped has left.

    `destination`, `sha256` and `reason` are None while the row is pending.
    """

    photo_id: int
    status: Status
    source: Path
    destination: Path | None
    folder: str
    sha256: str | None
    reason: Reason | None
    attempts: int
