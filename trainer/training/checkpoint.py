"""Keep the state of an unfinished training, so that the same command resumes it.

A checkpoint is one file, replaced atomically after each epoch. It is named by the fingerprint of data and
configuration, so that no other run takes it for its own.
"""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.fingerprint import fingerprint_values
from trainer.training.progress import Epoch, ValidationMetrics
from worker.errors import MoodsortError
from worker.fileio import replace_file

Weights = list[NDArray[np.float32]]

_FINGERPRINT_DIGITS = 16
_WEIGHTS = ("network", "ema", "optimizer", "best")
_METADATA = "metadata"


class CheckpointLost(MoodsortError):
    """The disk refuses to keep the state of a training."""


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that a training carries from one epoch to the next.

    Random draws need no state of their own: each follows from the seed and the number of the step. `seconds`
    is how long it has trained, `progress` the share that is done, 0 to 1. `network` and `optimizer` are the
    variables of the last step, `ema` their moving average, and `best` the EMA weights of the best epoch.
    """

    steps: int
    seconds: float
    progress: float
    history: tuple[Epoch, ...]
    network: Weights
    ema: Weights
    optimizer: Weights
    best: Weights


def fingerprint_run(values: object) -> str:
    """Return 16 hex digits over plain values: all that decides the weights of a training."""
    return fingerprint_values(values)[:_FINGERPRINT_DIGITS]


class Checkpoints:
    """The hidden folder beside a pipeline's output that holds the states of unfinished trainings."""

    def __init__(self, out: Path, fingerprint: str) -> None:
        self.folder = find_checkpoint_folder(out)
        self._path = self.folder / f"{fingerprint}.npz"

    def save(self, state: TrainingState, write: Callable[[Path, bytes], None] = replace_file) -> None:
        """Replace the checkpoint, durably. Raises CheckpointLost, and keeps the older one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(self._path, _encode_state(state))
        except OSError as error:
            with suppress(OSError):
                self.folder.rmdir()  # refused where an earlier checkpoint is in it
            start = "after the last complete epoch" if self._path.exists() else "from the beginning"
            raise CheckpointLost(
                f"{self.folder}: cannot be written ({error.strerror}); free some space, "
                f"and the same command resumes {start}"
            ) from error

    def load(self) -> TrainingState | None:
        """Return the state of an earlier run with this fingerprint, None where none is intact."""
        try:
            # Opened here: NumPy would leave the file of a damaged archive open.
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return _decode_state(arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None

    def has_other_runs(self) -> bool:
        """Return whether the checkpoint of another training is there."""
        return any(path != self._path for path in self.folder.glob("*.npz"))


def find_checkpoint_folder(out: Path) -> Path:
    """Return the hidden folder beside a pipeline's output."""
    return out.parent / f".{out.name}.training"


def discard_training(out: Path) -> None:
    """Remove that folder: the output is in its place, or the training is to start over."""
    shutil.rmtree(find_checkpoint_folder(out), ignore_errors=True)


def _encode_state(state: TrainingState) -> bytes:
    arrays: dict[str, NDArray[np.generic]] = {}
    counts = {}
    for name in _WEIGHTS:
        weights: Weights = getattr(state, name)
        counts[name] = len(weights)
        arrays |= {f"{name}/{index}": value for index, value in enumerate(weights)}
    metadata = {
        "steps": state.steps,
        "seconds": state.seconds,
        "progress": state.progress,
        "history": [asdict(epoch) for epoch in state.history],
        "counts": counts,
    }
    arrays[_METADATA] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    # No pickle: to load a file of numbers must not be able to run code.
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _decode_state(arrays: "np.lib.npyio.NpzFile") -> TrainingState:
    metadata = json.loads(arrays[_METADATA].tobytes())
    counts = metadata.pop("counts")
    history = tuple(_decode_epoch(row) for row in metadata.pop("history"))
    weights: dict[str, Any] = {
        name: [arrays[f"{name}/{index}"] for index in range(counts[name])] for name in _WEIGHTS
    }
    return TrainingState(history=history, **metadata, **weights)


def _decode_epoch(row: dict[str, Any]) -> Epoch:
    validation = row.pop("validation")
    return Epoch(**row, validation=None if validation is None else ValidationMetrics(**validation))
