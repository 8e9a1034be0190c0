"""Measure what a bundle costs on this machine: to load, for each photo, in memory."""

import math
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.startup import setup_of, start_pool
from worker.errors import ConfigError, MoodsortError
from worker.inbox.scanner import ignored_by, scan
from worker.inference.bundle import Bundle, load_bundle
from worker.paths import shown
from worker.pool.pool import START_SECONDS
from worker.pool.protocol import Opened
from worker.registry.timing import Order, Peak, Timing

_LOADS = 3

_DECODINGS = 2
"""A photo is decoded once with the clock running, and once more for the network alone."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some times, and what 95 of 100 do not exceed; in seconds."""

    median: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Return the spread of one or more times; p95 is the nearest rank."""
        ordered = sorted(seconds)
        return cls(statistics.median(ordered), ordered[math.ceil(0.95 * len(ordered)) - 1])


@dataclass(frozen=True, slots=True)
class Cost:
    """What a bundle costs: `load_seconds` until a classifier process is ready, the middle of some starts.

    `photo` is reading, decoding and judging in one process, `judge` the network's share of it;
    `memory_bytes` is the most that the process had; `left_out` counts files that could not be judged.
    """

    bundle: Bundle
    load_seconds: float
    photo: Spread
    judge: Spread
    memory_bytes: int
    photos: int
    left_out: int


def find_photos(folder: Path, config: Config, count: int) -> list[Path]:
    """Return `count` files of a folder and those below it, taken evenly. Raises ConfigError for none."""
    if not folder.is_dir():
        raise ConfigError(f"{shown(folder)}: is not a folder; name one with photos in it")
    found = scan(folder.absolute(), recursive=True, is_ignored=ignored_by(config.inbox.ignore))
    files = sorted(path for path, other in found if other is None)
    if not files:
        raise ConfigError(f"{shown(folder)}: has no photos in it; name another folder")
    kept = min(count, len(files))
    return [files[index * len(files) // kept] for index in range(kept)]


def measure(config: Config, folder: Path, photos: Sequence[Path]) -> Cost:
    """Measure a bundle on some photos. Raises BundleError, and MoodsortError where a photo stops it."""
    bundle = load_bundle(folder)
    clock = Clock()
    load_seconds = statistics.median(_loading_seconds(config, bundle, clock) for _ in range(_LOADS))
    timings, peak = _timed(config, bundle, photos)
    judged = [timing for timing in timings if timing is not None]
    if not judged:
        raise ConfigError(f"{shown(photos[0].parent)}: has no photo that can be judged; name another folder")
    return Cost(
        bundle=bundle,
        load_seconds=load_seconds,
        photo=Spread.of([timing.photo_seconds for timing in judged]),
        judge=Spread.of([timing.judge_seconds for timing in judged]),
        memory_bytes=peak.resident_bytes,
        photos=len(judged),
        left_out=len(timings) - len(judged),
    )


def _loading_seconds(config: Config, bundle: Bundle, clock: Clock) -> float:
    began = clock.monotonic()
    with closing(start_pool(config, bundle, clock, processes=1)) as pool:
        pool.wait_ready(clock.monotonic, lambda: True)
        return clock.monotonic() - began


def _timed(config: Config, bundle: Bundle, photos: Sequence[Path]) -> tuple[list[Timing | None], Peak]:
    timings: list[Timing | None] = []
    patience = START_SECONDS + _DECODINGS * config.limits.decode_seconds
    with _measuring_process() as connection:
        try:
            connection.send(Order(setup_of(config, bundle), tuple(photos)))
            while connection.poll(patience):
                match connection.recv():
                    case Opened():
                        continue
                    case Peak() as peak:
                        return timings, peak
                    case timing:
                        timings.append(timing)
            cause = f"takes more than {patience:g} seconds"
        except (EOFError, ConnectionError):
            cause = "ends the process that measures"
    raise MoodsortError(f"{shown(photos[len(timings)])}: {cause}; move it away, or see moodsort doctor")


@contextmanager
def _measuring_process() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as connection:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.registry.measuring", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # decoders write a line for every damaged tag
            )
        try:
            yield connection
        finally:
            process.kill()
            process.wait()
