"""What the parent and its child processes send to each other."""

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
    """The work of a child process. It is sent to the process once, so it has to be picklable."""

    def load(self, limits: Limits) -> Callable[[bytes], T_co]:
        """Get ready, and return what turns the bytes of a file into its result.

        Raises BundleError where the task cannot be done here. What is returned raises BadPhoto for a file
        that has no result.
        """


@dataclass(frozen=True, slots=True)
class Setup(Generic[T]):
    """Everything that a process has to know before its first file."""

    task: Task[T]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Ready:
    """The task is loaded."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The task cannot be done here; the sentence says why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """One file to work on; the key comes back with its result.

    It is retried where a process has died that had it in hand.
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
    """The file has been read and is about to be decoded: if the decoder dies, this is what it died of."""

    key: int
    file: SourceFile


@dataclass(frozen=True, slots=True)
class Completed(Generic[T]):
    """A file's result, and the time from opening it to having the result."""

    key: int
    file: SourceFile
    seconds: float
    result: T


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that has no result; `file` is None where it could not even be read."""

    key: int
    file: SourceFile | None
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


JobResult = Completed[T] | Refused | Gone | Delayed
