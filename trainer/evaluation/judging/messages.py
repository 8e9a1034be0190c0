"""What goes between the command and the processes that judge for it."""

from dataclasses import dataclass
from pathlib import Path

from trainer.data.near_duplicates import Bits
from worker.inference.prediction import Verdict


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost; the worker's own defaults."""

    max_file_bytes: int = 268_435_456
    max_pixels: int = 250_000_000
    memory_bytes: int = 2_147_483_648
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Setup:
    """Sent to a process first: the bundles to load."""

    bundles: tuple[Path, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has loaded the bundles."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A bundle cannot be loaded here, and why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The bundles' verdicts on one picture, in their order, and what tells whether another shows the same."""

    path: Path
    sha256: str
    bits: Bits
    mirrored_bits: Bits
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A file without a verdict: a reason code and a sentence."""

    path: Path
    reason: str
    detail: str


Outcome = Judged | Unjudged
