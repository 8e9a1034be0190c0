"""What the worker and its classifier processes say to each other."""

from dataclasses import dataclass
from pathlib import Path

from worker.errors import Reason
from worker.fileio import Identity
from worker.inference.prediction import Verdict


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything a classifier process has to know before its first photo."""

    bundle_folder: Path
    max_file_bytes: int
    max_pixels: int
    decode_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The bundle is loaded and has passed its self-test."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The bundle cannot be used; the sentence says why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """One file to judge; the key comes back with what was made of it.

    It is retried where a process has died that had it in hand.
    """

    key: int
    path: Path
    is_retried: bool = False


@dataclass(frozen=True, slots=True)
class FileRead:
    """The file as it was read, and the SHA-256 of its bytes in 64 hex digits."""

    identity: Identity
    sha256: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The file has been read and is about to be decoded: if the decoder dies, this is what it died of."""

    key: int
    file: FileRead


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on a photo; width and height are of the whole picture, upright."""

    key: int
    file: FileRead
    width: int
    height: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be judged; `file` is None where it could not even be read."""

    key: int
    file: FileRead | None
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Gone:
    """No regular file is at the path any more."""

    key: int


@dataclass(frozen=True, slots=True)
class Delayed:
    """The file cannot be read at this moment, for a cause that may pass."""

    key: int
    detail: str


Outcome = Judged | Refused | Gone | Delayed
