"""Tasks for child processes, in a module that these can import."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

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

    def make_decoder(self) -> Callable[[bytes], PhotoResult]:
        """Read results as the worker does."""
        return PredictionTask(self.bundle_folder).make_decoder()


def _obey(word: bytes) -> None:
    match word:
        case b"SEGFAULT":
            ctypes.string_at(0)
        case b"ABORT":
            os.abort()
        case b"HANG":
            time.sleep(3600)
        case b"SPIN":
            while True:
                pass
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

    One that says "AWAIT" waits for another that says "SIGNAL", whatever the order that they come in, by way
    of a FIFO.
    """

    fifo: Path | None = None

    def load(self, limits: Limits) -> Callable[[bytes], WordCount]:
        """Open the FIFO, which could not be opened later."""
        descriptor = os.open(self.fifo, os.O_RDWR) if self.fifo else -1

        def count_words(data: bytes) -> WordCount:
            words = data.split()
            match words:
                case []:
                    raise BadPhoto(Reason.EMPTY, "there is no word in it")
                case [b"AWAIT"]:
                    os.read(descriptor, 1)
                case [b"SIGNAL"]:
                    os.write(descriptor, b"x")
            return WordCount(len(words))

        return count_words

    def make_decoder(self) -> Callable[[bytes], WordCount]:
        """Read a count."""
        return msgspec.msgpack.Decoder(WordCount).decode


@dataclass(frozen=True, slots=True)
class UnfitTask:
    """A task that cannot be loaded."""

    detail: str

    def load(self, limits: Limits) -> Callable[[bytes], None]:
        """Refuse."""
        raise BundleError(self.detail)

    def make_decoder(self) -> Callable[[bytes], None]:
        """Never called."""
        raise AssertionError


@dataclass(frozen=True, slots=True)
class DyingTask:
    """A task whose loading kills the process, as LiteRT does on a processor that it was not built for."""

    def load(self, limits: Limits) -> Callable[[bytes], None]:
        """Die."""
        os.kill(os.getpid(), signal.SIGILL)
        raise AssertionError

    def make_decoder(self) -> Callable[[bytes], None]:
        """Never called."""
        raise AssertionError
