"""The messages between the parent and its child processes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from worker.config import Limits
from worker.errors import Reason
from worker.fileio import FileIdentity

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Task(Protocol[T_co]):
    """The work of a child process. It is sent to the process once, so it must be picklable."""

    def load(self, limits: Limits) -> Callable[[bytes], T_co]:
        """Load what the task needs; return the function that turns the bytes of a file into its result.

        Raises BundleError where the task cannot be done here. The function raises BadPhoto for a file that
        has no result.
        """


@dataclass(frozen=True, slots=True)
class Setup(Generic[T]):
    """The first message to a process: what it will do, within which limits."""

    task: Task[T]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Ready:
    """The task is loaded."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The task cannot be loaded; `detail` says why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """One file to run the task on; the result bears the same key.

    `is_retried` where a process has died with it in its batch.
    """

    key: int
    path: Path
    is_retried: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file as it was read, and the SHA-256 of its bytes in 64 hex digits."""

    identity: FileIdentity
    sha256: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The file has been read and is about to be decoded: should the process die now, it died of this file."""

    key: int
    file: SourceFile


@dataclass(frozen=True, slots=True)
class Completed(Generic[T]):
    """The task's result for a file, and the time from opening the file to that result."""

    key: int
    file: SourceFile
    seconds: float
    result: T


@dataclass(frozen=True, slots=True)
class Refused:
    """The file has no result; `file` is None where it could not even be read."""

    key: int
    file: SourceFile | None
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no regular file at the path any more."""

    key: int


@dataclass(frozen=True, slots=True)
class Delayed:
    """The file cannot be read now, for a cause that may pass."""

    key: int
    detail: str


JobResult = Completed[T] | Refused | Gone | Delayed
