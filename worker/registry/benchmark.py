"""Measure what a bundle costs on this machine: to load, for each photo, in memory."""

import math
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.config import Config, Limits
from worker.errors import ConfigError
from worker.inbox.scanner import make_ignore_test, scan_folder
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.decode import decode_photo
from worker.inference.predictor import Predictor
from worker.paths import format_path
from worker.pool.batch import check_task, run_batch
from worker.pool.prediction_task import PredictionTask
from worker.pool.protocol import Completed

_LOADS = 3


@dataclass(frozen=True, slots=True)
class Measurement:
    """How long the networks took for one photo, and the most memory that the process has had."""

    predict_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class MeasurementTask:
    """Decode photos and predict their labels, with the clock running."""

    bundle_folder: Path

    def load(self, limits: Limits) -> Callable[[bytes], Measurement]:
        """Load the bundle. Raises BundleError."""
        bundle = load_bundle(self.bundle_folder)
        predictor = Predictor(bundle)
        max_side = bundle.manifest.max_side

        def measure(data: bytes) -> Measurement:
            picture = decode_photo(data, max_pixels=limits.max_pixels, max_side=max_side)
            started = time.perf_counter()
            predictor.predict(picture)
            return Measurement(time.perf_counter() - started, _read_peak_bytes())

        return measure


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some times, and what 95 of 100 do not exceed; in seconds."""

    median: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Return the spread of one or more times; p95 is the nearest rank."""
        ordered = sorted(seconds)
        return cls(statistics.median(ordered), ordered[math.ceil(0.95 * len(ordered)) - 1])


@dataclass(frozen=True, slots=True)
class Cost:
    """What a bundle costs: `load_seconds` until a child process is ready, the median of some starts.

    `photo` is reading, decoding and predicting in one process, `predict` the networks' share of it;
    `memory_bytes` is the most that the process had; `left_out` counts files without a prediction.
    """

    bundle: Bundle
    load_seconds: float
    photo: Spread
    predict: Spread
    memory_bytes: int
    photos: int
    left_out: int


def choose_photos(folder: Path, config: Config, count: int) -> list[Path]:
    """Return `count` files of a folder and those below it, taken evenly. Raises ConfigError for none."""
    if not folder.is_dir():
        raise ConfigError(f"{format_path(folder)}: is not a folder; name one with photos in it")
    is_ignored = make_ignore_test(config.inbox.ignore)
    entries = scan_folder(folder.absolute(), recursive=True, is_ignored=is_ignored)
    files = sorted(path for path, kind in entries if kind is None)
    if not files:
        raise ConfigError(f"{format_path(folder)}: has no photos in it; name another folder")
    chosen = min(count, len(files))
    return [files[index * len(files) // chosen] for index in range(chosen)]


def measure_cost(config: Config, folder: Path, photos: Sequence[Path]) -> Cost:
    """Measure a bundle on some photos. Raises BundleError, and ConfigError where none is a picture."""
    bundle = load_bundle(folder)
    load_seconds = statistics.median(_measure_load(config, bundle) for _ in range(_LOADS))
    # The first photo once more before, and not counted: the first run of a network takes longer.
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
        photo=Spread.of([result.seconds for result in completed]),
        predict=Spread.of([result.result.predict_seconds for result in completed]),
        memory_bytes=max(result.result.peak_bytes for result in completed),
        photos=len(completed),
        left_out=len(results) - len(completed),
    )


def _measure_load(config: Config, bundle: Bundle) -> float:
    started = time.monotonic()
    check_task(PredictionTask(bundle.folder), config.limits)
    return time.monotonic() - started


def _read_peak_bytes() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux; macOS counts bytes (getrusage(2))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: it also counts the process that started this one (getrusage(2), "ru_maxrss").
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
