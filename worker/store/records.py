"""The records that a worker writes to the database and reads from it.

Paths are relative to the root folder; times are aware, in UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from worker.errors import Reason
from worker.fileio import KnownFile
from worker.inference.prediction import Prediction


class Status(StrEnum):
    """The states of a photo, in the order in which it passes through them."""

    PENDING = "pending"
    DECIDED = "decided"
    FILED = "filed"
    QUARANTINED = "quarantined"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle's row in `models`; as text, it is what the view `prediction_log` calls the model."""

    model_id: int
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A settled file that the worker takes on."""

    source: Path
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file, as far as it could be read; width and height are of the upright picture."""

    sha256: str | None
    size_bytes: int
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The destination of one photo with its prediction, and with the reason why no label's folder takes it.

    `folder` is the name of a label folder, of review or of quarantine; `destination` is the exact path;
    `file` is the file at its source that was read, None where it could not be.
    """

    photo_id: int
    folder: str
    destination: Path
    content: Content
    prediction: Prediction | None
    reason: Reason | None
    detail: str | None
    decided_at: datetime
    file: KnownFile | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A pending or decided row that a stopped worker has left.

    `destination`, `sha256` and `reason` are None while the row is pending. `file` is the one at the source
    that was decided on, None where the row does not say.
    """

    photo_id: int
    status: Status
    source: Path
    destination: Path | None
    folder: str
    sha256: str | None
    reason: Reason | None
    attempts: int
    file: KnownFile | None


@dataclass(frozen=True, slots=True)
class FiledPhoto:
    """A photo that was filed or quarantined.

    `is_missing` is what its row says of its file. `file` is None in rows that are older than identities.
    """

    photo_id: int
    path: Path
    folder: str
    size_bytes: int
    is_missing: bool
    file: KnownFile | None
