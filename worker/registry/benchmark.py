"""Measure what a bundle costs on this machine: to load, for each photo, in memory."""

import math
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from worker.config import Config, Limits
from worker.errors import ConfigError
from worker.inbox.scanner import make_ignore_test, scan_folder
from worker.inference.bundle import Bundle, load_bundle
from worker.paths import format_path
from worker.pool.batch import check_task, run_batch
from worker.pool.prediction_task import PredictionTask
from worker.pool.protocol import Completed

_LOADS = 3
"""A median needs three: the first load may still read the files from the disk."""


_STATUS_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Measurement:
    """How long one prediction took, and the most memory that its process has had until then."""

    predict_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class MeasurementTask:
    """Decode photos and predict their labels, and measure the prediction alone."""

    bundle_folder: Path

    def load(self, limits: Limits) -> Callable[[bytes], Measurement]:
        """Load the bundle, without its self-test. Raises BundleError."""
        # Imported in the child process alone: the parent only sends this task.
        from worker.inference.decode import decode_photo
        from worker.inference.predictor import Predictor
        from worker.inference.warmup import warm_up_decoders

        bundle = load_bundle(self.bundle_folder)
        predictor = Predictor(bundle)
        warm_up_decoders()
        max_side = bundle.manifest.max_side
        read_peak_bytes = _open_peak()

        def measure(data: bytes) -> Measurement:
            picture = decode_photo(data, max_pixels=limits.max_pixels, max_side=max_side)
            start = time.perf_counter()
            predictor.predict(picture)
            return Measurement(time.perf_counter() - start, read_peak_bytes())

        return measure

    def make_decoder(self) -> Callable[[bytes], Measurement]:
        """Return the function that reads a measurement."""
        return msgspec.msgpack.Decoder(Measurement).decode


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the 95th percentile of some times, in seconds."""

    median: float
    p95: float

    @classmethod
    def summarize(cls, seconds: Sequence[float]) -> "Spread":
        """Return the spread of one or more times; the percentile is the nearest rank."""
        ascending = sorted(seconds)
        return cls(statistics.median(ascending), ascending[math.ceil(0.95 * len(ascending)) - 1])


@dataclass(frozen=True, slots=True)
class Cost:
    """What a bundle costs: `load_seconds` is the median time until a child process is ready.

    `photo` is the time to read, decode and predict in one process, `predict` that to predict alone.
    `memory_bytes` is the most that the process had; `left_out` counts the files that cannot be read.
    """

    bundle: Bundle
    load_seconds: float
    photo: Spread
    predict: Spread
    memory_bytes: int
    photos: int
    left_out: int


def choose_photos(folder: Path, config: Config, count: int) -> list[Path]:
    """Return up to `count` files of a folder and those below it, evenly spaced in the order of their names.

    Raises ConfigError where there is none.
    """
    if not folder.is_dir():
        raise ConfigError(f"{format_path(folder)}: is not a folder; name one with photos in it")
    is_ignored = make_ignore_test(config.inbox.ignore)
    entries = scan_folder(folder.absolute(), recursive=True, is_ignored=is_ignored)
    files = sorted(path for path, kind in entries if kind is None)
    if not files:
        raise ConfigError(f"{format_path(folder)}: has no photos in it; name another folder")
    size = min(count, len(files))
    return [files[index * len(files) // size] for index in range(size)]


def measure_cost(config: Config, folder: Path, photos: Sequence[Path]) -> Cost:
    """Measure a bundle on some photos. Raises BundleError, and ConfigError where none can be read."""
    bundle = load_bundle(folder)
    load_seconds = statistics.median(_measure_load(config, bundle) for _ in range(_LOADS))
    # One photo more, whose result is dropped: the first run of a network takes longer.
    paths = [photos[0], *photos]
    _, *results = run_batch(MeasurementTask(folder), paths, config.limits, processes=1, batch_size=1)
    completed = [result for result in results if isinstance(result, Completed)]
    if not completed:
        raise ConfigError(
            f"{format_path(photos[0].parent)}: has no photo that can be read; name another folder"
        )
    return Cost(
        bundle=bundle,
        load_seconds=load_seconds,
        photo=Spread.summarize([result.seconds for result in completed]),
        predict=Spread.summarize([result.result.predict_seconds for result in completed]),
        memory_bytes=max(result.result.peak_bytes for result in completed),
        photos=len(completed),
        left_out=len(results) - len(completed),
    )


def _measure_load(config: Config, bundle: Bundle) -> float:
    # With the task of the worker, whose start includes the self-test.
    start = time.monotonic()
    check_task(PredictionTask(bundle.folder), config.limits)
    return time.monotonic() - start


def _open_peak() -> Callable[[], int]:
    """Return a function that reads the most memory that this process has had."""
    try:
        # Kept open: once its task is loaded, a process can open no file.
        status = Path("/proc/self/status").open("rb", buffering=0)  # noqa: SIM115
    except OSError:  # not Linux; macOS counts bytes (getrusage(2))
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: it also counts the process that started this one (getrusage(2), "ru_maxrss").
    return lambda: _parse_peak(os.pread(status.fileno(), _STATUS_BYTES, 0))


def _parse_peak(status: bytes) -> int:
    line = next(line for line in status.splitlines() if line.startswith(b"VmHWM:"))
    return int(line.split()[1]) * 1024
