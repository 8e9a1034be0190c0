"""Load one network of a bundle, run it, and test it."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from worker.errors import BundleError
from worker.inference.decode import Pixels
from worker.inference.manifest import HEATMAP_STRIDE, NetworkSpec

HEATMAP_CHANNELS = 4
"""Of each position: the logit, dx, dy and the log of the side, as `OutputSpec` says."""

Outputs = Mapping[str, NDArray[np.float32]]
"""The outputs of a network by their kinds, "heatmap" and "logits"."""

Shape = tuple[int, ...]


class Network:
    """One network of a bundle, loaded and ready to run."""

    def __init__(self, folder: Path, spec: NetworkSpec, classes: int) -> None:
        """Load the network's file.

        Raises BundleError where LiteRT refuses it, or its shapes are not those of the manifest.
        """
        self.spec = spec
        self.path = folder / spec.file
        self._golden = folder / spec.golden.file
        self._interpreter = _load_interpreter(self.path)
        self._input = _find_input(self.path, spec, self._interpreter)
        self._outputs = _find_outputs(self.path, spec, classes, self._interpreter)

    def run(self, pixels: Pixels) -> Outputs:
        """Run on uint8 (height, width, channels).

        Logits come as float32 (classes,), a heatmap as float32 (height / 8, width / 8, 4).
        """
        # One picture at a time: on a CPU a larger batch is no cheaper (1.0 ms a picture at 32, 0.8 ms at 1).
        self._interpreter.set_tensor(self._input, pixels[np.newaxis])
        self._interpreter.invoke()
        return {kind: self._interpreter.get_tensor(index)[0] for kind, index in self._outputs.items()}

    def self_test(self) -> None:
        """Run the golden inputs. Raises BundleError where an output is further off than its tolerance."""
        try:
            with np.load(self._golden, allow_pickle=False) as arrays:
                inputs = arrays["inputs"]
                golden_outputs = {output.kind: arrays[output.kind] for output in self.spec.outputs}
            runs = [self.run(pixels) for pixels in inputs]
            differences = {
                kind: float(np.abs(np.stack([outputs[kind] for outputs in runs]) - expected).max())
                for kind, expected in golden_outputs.items()
            }
        except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise BundleError(f"{self._golden}: cannot be run ({error}); copy the bundle again") from error
        for output in self.spec.outputs:
            if not differences[output.kind] <= output.tolerance:  # "not", for a difference that is NaN
                raise BundleError(
                    f'{self.path}: its output "{output.kind}" differs from the golden one by '
                    f"{differences[output.kind]:.4g} (allowed {output.tolerance:g}); "
                    "this bundle does not compute here what it computed when it was made: use another"
                )


def _load_interpreter(path: Path) -> Interpreter:
    try:
        # One thread: the pool has a process for each core.
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    except (OSError, ValueError, RuntimeError) as error:
        raise BundleError(f"{path}: cannot be loaded ({error}); copy the bundle again") from error
    return interpreter


def _find_input(path: Path, spec: NetworkSpec, interpreter: Interpreter) -> int:
    (details,) = interpreter.get_input_details()
    shape = (1, spec.input.height, spec.input.width, 3 if spec.input.colour == "rgb" else 1)
    if _read_shape(details) != shape or details["dtype"] is not np.uint8:
        raise BundleError(
            f"{path}: takes {details['dtype'].__name__} {_read_shape(details)}, "
            f"the manifest says uint8 {shape}; train it again"
        )
    index: int = details["index"]
    return index


def _find_outputs(path: Path, spec: NetworkSpec, classes: int, interpreter: Interpreter) -> dict[str, int]:
    """Return the index of each output; their shapes tell them apart, for LiteRT orders them as it likes."""
    shapes: dict[str, Shape] = {
        "logits": (1, classes),
        "heatmap": (
            1,
            spec.input.height // HEATMAP_STRIDE,
            spec.input.width // HEATMAP_STRIDE,
            HEATMAP_CHANNELS,
        ),
    }
    index_by_shape = {
        _read_shape(details): details["index"]
        for details in interpreter.get_output_details()
        if details["dtype"] is np.float32
    }
    expected = {output.kind: shapes[output.kind] for output in spec.outputs}
    if set(index_by_shape) != set(expected.values()):
        actual_outputs = ", ".join(
            f"{details['dtype'].__name__} {_read_shape(details)}"
            for details in interpreter.get_output_details()
        )
        expected_outputs = ", ".join(f"float32 {shape}" for shape in expected.values())
        raise BundleError(
            f"{path}: gives {actual_outputs}, the manifest says {expected_outputs}; train it again"
        )
    return {kind: index_by_shape[shape] for kind, shape in expected.items()}


def _read_shape(details: Mapping[str, NDArray[np.int32]]) -> Shape:
    return tuple(map(int, details["shape"]))
