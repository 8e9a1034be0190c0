"""What the benchmark and its measuring process say to each other."""

from dataclasses import dataclass
from pathlib import Path

from worker.pool.protocol import Setup


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure; the first photo is judged once more before, and not counted."""

    setup: Setup
    photos: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one photo took from its path to the outcome, and how much of that the network."""

    photo_seconds: float
    judge_seconds: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that the process had."""

    resident_bytes: int
