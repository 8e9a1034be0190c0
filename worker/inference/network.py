"""Load one stage of a bundle, run it, and test it."""

import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from worker.errors import BundleError
from worker.inference.bundle import FINDER_CELL, Stage
from worker.inference.decode import Pixels

FINDER_ANSWERS = 4
"""What a finder says of each cell: a logit, two offsets and a size."""


class Network:
    """One stage of a bundle, loaded and ready to run."""

    def __init__(self, folder: Path, stage: Stage, classes: int) -> None:
        """Load the stage's file. Raises BundleError where LiteRT refuses it, or it is of another shape."""
        self.stage = stage
        self.path = folder / stage.file
        self._golden = folder / stage.golden.file
        self._network = _load(self.path)
        _check_shapes(self.path, stage, classes, self._network)
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def run(self, pixels: Pixels) -> NDArray[np.float32]:
        """Run on what the stage reads, uint8 (height, width, channels).

        A reader gives logits, float32 (classes,), a finder its map, float32 (height / 8, width / 8, 4).
        A batch of one costs no more per picture than a larger one on a CPU (0.8 ms against 1.0 ms at 32).
        """
        self._network.set_tensor(self._input, pixels[np.newaxis])
        self._network.invoke()
        found: NDArray[np.float32] = self._network.get_tensor(self._output)[0]
        return found

    def self_test(self) -> None:
        """Run the stage's golden inputs. Raises BundleError where the answers are not the golden ones."""
        allowed = self.stage.golden.tolerance
        try:
            with np.load(self._golden, allow_pickle=False) as arrays:
                inputs, expected = arrays["inputs"], arrays["answers"]
            found = np.stack([self.run(pixels) for pixels in inputs])
            worst = float(np.abs(found - expected).max())
        except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise BundleError(f"{self._golden}: cannot be run ({error}); copy the bundle again") from error
        if not worst <= allowed:
            what = "logits" if self.stage.role == "reader" else "answers"
            raise BundleError(
                f"{self.path}: {what} differ from the golden ones by {worst:.4g} (allowed {allowed:g}); "
                "this bundle does not compute here what it computed when it was made: use another"
            )


def _load(path: Path) -> Interpreter:
    try:
        network = Interpreter(model_content=path.read_bytes(), num_threads=1)
        network.allocate_tensors()
    except (OSError, ValueError, RuntimeError) as error:
        raise BundleError(f"{path}: cannot be loaded ({error}); copy the bundle again") from error
    return network


def _check_shapes(path: Path, stage: Stage, classes: int, network: Interpreter) -> None:
    taken, given = network.get_input_details()[0], network.get_output_details()[0]
    found = tuple(map(int, taken["shape"])), tuple(map(int, given["shape"]))
    wanted = _shapes(stage, classes)
    if found != wanted or taken["dtype"] is not np.uint8 or given["dtype"] is not np.float32:
        raise BundleError(
            f"{path}: takes {taken['dtype'].__name__} {found[0]} and gives {given['dtype'].__name__} "
            f"{found[1]}, the manifest says uint8 {wanted[0]} and float32 {wanted[1]}; train it again"
        )


def _shapes(stage: Stage, classes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    width, height = stage.input.width, stage.input.height
    taken = (1, height, width, 3 if stage.input.colour == "rgb" else 1)
    if stage.role == "finder":
        return taken, (1, height // FINDER_CELL, width // FINDER_CELL, FINDER_ANSWERS)
    return taken, (1, classes)
