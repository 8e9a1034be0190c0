"""Say how a bundle is to be trained: every number that a person may want to change, in one place."""

from dataclasses import dataclass
from pathlib import Path

from worker.bundle import InputSpec


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train on, how, and where the bundle goes.

    `working_side` and `max_pixels` are what the reader of pictures takes. `held_out` is the share of each
    class that goes to validation, and again to the test. `peak_rate` is AdamW's learning rate after the
    warm-up. `command` is what the manifest keeps of how it was called.
    """

    folders: tuple[Path, ...]
    out: Path
    name: str
    input: InputSpec
    command: str
    seed: int = 0
    epochs: int = 40
    batch_size: int = 64
    peak_rate: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    held_out: float = 0.08
    keep_keras: bool = False
    working_side: int = 320
    max_pixels: int = 250_000_000
