"""Keep what an unfinished training has come to, so that the same command goes on from it.

A checkpoint is one file, replaced in one step after each epoch; it is named by the fingerprint of data and
recipe, so that no other run takes it.
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trainer.training.progress import Epoch
from worker.errors import MoodsortError

Weights = list[NDArray[np.float32]]

_PARTS = ("learner", "averaged", "optimizer", "best")


class CheckpointLost(MoodsortError):
    """The disk refuses to keep what training has come to."""


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that a training carries from one epoch to the next.

    Random draws need no state of their own: each follows from the seed and the number of the step.
    `seconds` is how long it has trained, `progress` the share that is done, 0 to 1. `best` are the averaged
    weights of the epoch `find_best_epoch`.
    """

    steps: int
    seconds: float
    progress: float
    history: tuple[Epoch, ...]
    best_number: int
    learner: Weights
    averaged: Weights
    optimizer: Weights
    best: Weights


def fingerprint_run(parts: object) -> str:
    """Return 16 hex digits of a SHA-256 over what decides the weights, told in plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Checkpoints:
    """The hidden folder beside a bundle's place that holds what unfinished trainings have come to."""

    def __init__(self, out: Path, fingerprint: str) -> None:
        self.folder = find_checkpoint_folder(out)
        self._path = self.folder / f"{fingerprint}.npz"

    def save(
        self, state: TrainingState, write: Callable[[IO[bytes], TrainingState], None] | None = None
    ) -> None:
        """Replace the checkpoint, durably. Raises CheckpointLost, and keeps the older one."""
        draft = self._path.with_suffix(".draft")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                (write or _write)(file, state)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            _sync_folder(self.folder)
        except OSError as error:
            self._leave_whole(draft)
            where = "after the last whole epoch" if self._path.exists() else "from the beginning"
            raise CheckpointLost(
                f"{self.folder}: cannot be written ({error.strerror}); make room, "
                f"and the same command goes on {where}"
            ) from error

    def _leave_whole(self, draft: Path) -> None:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
            self.folder.rmdir()  # refused where an earlier checkpoint is in it

    def load(self) -> TrainingState | None:
        """Return what an earlier run of this fingerprint left, None where there is nothing that is whole."""
        try:
            # Opened here: NumPy would leave the file of a damaged archive open.
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return _read_state(arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None

    def holds_another(self) -> bool:
        """Say whether another training's checkpoint is there."""
        return any(path != self._path for path in self.folder.glob("*.npz"))


def find_checkpoint_folder(out: Path) -> Path:
    """Return the hidden folder beside a bundle's place."""
    return out.parent / f".{out.name}.training"


def discard_training(out: Path) -> None:
    """Remove that folder: the bundle is in its place, or all is to begin anew."""
    shutil.rmtree(find_checkpoint_folder(out), ignore_errors=True)


def _write(file: IO[bytes], state: TrainingState) -> None:
    arrays: dict[str, NDArray[np.generic]] = {}
    lengths = {}
    for part in _PARTS:
        weights: Weights = getattr(state, part)
        lengths[part] = len(weights)
        arrays |= {f"{part}/{number}": value for number, value in enumerate(weights)}
    told = {
        "steps": state.steps,
        "seconds": state.seconds,
        "progress": state.progress,
        "history": [asdict(epoch) for epoch in state.history],
        "best_number": state.best_number,
        "lengths": lengths,
    }
    arrays["told"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    np.savez(file, allow_pickle=False, **arrays)


def _read_state(arrays: "np.lib.npyio.NpzFile") -> TrainingState:
    told = json.loads(arrays["told"].tobytes())
    lengths = told.pop("lengths")
    history = tuple(Epoch(**epoch) for epoch in told.pop("history"))
    parts = {part: [arrays[f"{part}/{number}"] for number in range(lengths[part])] for part in _PARTS}
    return TrainingState(history=history, **told, **parts)  # type: ignore[arg-type]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
