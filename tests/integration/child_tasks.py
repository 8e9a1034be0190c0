"""Tasks for child processes, in a module that these can import."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.config import Limits
from worker.errors import BadPhoto, BundleError, Reason
from worker.pool.prediction_task import PhotoResult, PredictionTask


@dataclass(frozen=True, slots=True)
class HostileTask:
    """Predict as the worker does, but let the decoder do to its process what a file's first word says."""

    bundle_folder: Path

    def load(self, limits: Limits) -> Callable[[bytes], PhotoResult]:
        """Load the bundle."""
        predict = PredictionTask(self.bundle_folder).load(limits)

        def obey_or_predict(data: bytes) -> PhotoResult:
            _obey(data.partition(b" ")[0])
            return predict(data)

        return obey_or_predict


def _obey(word: bytes) -> None:
    match word:
        case b"SEGFAULT":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"HANG":
            time.sleep(3600)
        case b"RAISE":
            raise KeyboardInterrupt
        case b"LEAVE":
            os._exit(3)
        case b"HOG":
            bytearray(1 << 50)


@dataclass(frozen=True, slots=True)
class WordCount:
    """A result that no other task has."""

    words: int


@dataclass(frozen=True, slots=True)
class WordCountTask:
    """Count the words of files; a file of none is refused.

    One that says "AWAIT PATH" waits for another that says "TOUCH PATH", whatever the order that they come in.
    """

    def load(self, limits: Limits) -> Callable[[bytes], WordCount]:
        """Load nothing."""
        return _count_words


def _count_words(data: bytes) -> WordCount:
    words = data.split()
    match words:
        case []:
            raise BadPhoto(Reason.EMPTY, "there is no word in it")
        case [b"AWAIT", path]:
            while not os.path.exists(path):  # noqa: PTH110
                time.sleep(0.01)
        case [b"TOUCH", path]:
            Path(os.fsdecode(path)).touch()
    return WordCount(len(words))


@dataclass(frozen=True, slots=True)
class UnfitTask:
    """A task that cannot be loaded."""

    detail: str

    def load(self, limits: Limits) -> Callable[[bytes], None]:
        """Refuse."""
        raise BundleError(self.detail)


@dataclass(frozen=True, slots=True)
class DyingTask:
    """A task whose loading kills the process, as LiteRT does on a processor that it was not built for."""

    def load(self, limits: Limits) -> Callable[[bytes], None]:
        """Die."""
        os.kill(os.getpid(), signal.SIGILL)
        raise AssertionError
