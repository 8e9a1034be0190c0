"""What is asked of a pool, what comes back, and what a task is."""

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
    """The work of a child process: a dataclass at the top level of a module that the process can import.

    The process is sent its name and its fields. Results cross as MessagePack, so they are of types that
    msgspec writes.
    """

    def load(self, limits: Limits) -> Callable[[bytes], T_co]:
        """Load what the task needs; return the function that turns the bytes of a file into its result.

        Once this has returned, the process can open no file and import no module any more. Raises BundleError
        where the task cannot be done here. The function raises BadPhoto for a file that has no result.
        """

    def make_decoder(self) -> Callable[[bytes], T_co]:
        """Return the function by which the parent reads a result, called when the first process is ready.

        It raises ValueError for what only a process writes that a file has taken over. Raises BundleError.
        """


@dataclass(frozen=True, slots=True)
class Setup(Generic[T]):
    """What the processes of a pool do, within which limits."""

    task: Task[T]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Job:
    """One file to run the task on; the result bears the same key."""

    key: int
    path: Path


@dataclass(frozen=True, slots=True)
class HashJob:
    """One file to hash and no more, of any size, beside the jobs; and `Hashed` is its result."""

    key: int
    path: Path


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file as it was opened, and the SHA-256 of its bytes in 64 hex digits."""

    identity: FileIdentity
    sha256: str


@dataclass(frozen=True, slots=True)
class Completed(Generic[T]):
    """The task's result for a file, and the time from its turn to that result."""

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
    """The file has no result now, for a cause that may pass; try again after `seconds` at the earliest."""

    key: int
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Hashed:
    """What came of a `HashJob`."""

    key: int
    outcome: SourceFile | Refused | Gone | Delayed


JobResult = Completed[T] | Refused | Gone | Delayed
AnyResult = JobResult[T] | Hashed
