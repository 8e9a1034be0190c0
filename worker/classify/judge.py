"""Run a bundle's network on one picture at a time, and say what it makes of it."""

import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from worker.bundle import Bundle, Stage
from worker.errors import BundleError
from worker.imaging import Picture, Pixels, fit
from worker.verdict import Verdict


class Judge:
    """A bundle that is loaded and ready to judge."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the bundle's network. Raises BundleError where LiteRT refuses it."""
        self._bundle = bundle
        (self._stage,) = bundle.manifest.stages
        self._network = _load(bundle, self._stage)
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def judge(self, picture: Picture) -> Verdict:
        """Judge an upright picture."""
        return self._verdict(self.logits(fit(picture.pixels, self._stage.input)))

    def logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Run the network on what its stage reads, uint8 (height, width, channels): float32 (classes,).

        A batch of one costs no more per picture than a larger one on a CPU (0.8 ms against 1.0 ms at 32).
        """
        self._network.set_tensor(self._input, pixels[np.newaxis])
        self._network.invoke()
        found: NDArray[np.float32] = self._network.get_tensor(self._output)[0]
        return found

    def self_test(self) -> None:
        """Run the bundle's golden inputs. Raises BundleError where the answers are not the golden ones."""
        golden = self._bundle.manifest.golden
        path = self._bundle.folder / golden.file
        try:
            with np.load(path, allow_pickle=False) as arrays:
                inputs, expected = arrays["inputs"], arrays["logits"]
            found = np.stack([self.logits(pixels) for pixels in inputs])
            worst = float(np.abs(found - expected).max())
        except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path}: cannot be run ({error}); copy the bundle again") from error
        if not worst <= golden.tolerance:
            raise BundleError(
                f"{path}: logits differ from the golden ones by {worst:.4g} (allowed {golden.tolerance:g}); "
                "this bundle does not compute here what it computed when it was made: use another"
            )

    def _verdict(self, logits: NDArray[np.float32]) -> Verdict:
        manifest = self._bundle.manifest
        chances = softmax(logits / manifest.calibration.temperature)
        scores = {name: float(chance) for name, chance in zip(manifest.classes, chances, strict=True)}
        label = max(scores, key=scores.__getitem__)
        if manifest.decision_threshold is not None:
            first, second = manifest.classes
            label = first if scores[first] >= manifest.decision_threshold else second
        return Verdict(label, scores[label], scores, faces=None)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities that logits stand for, over the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    total: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return total


def _load(bundle: Bundle, stage: Stage) -> Interpreter:
    path = bundle.folder / stage.file
    try:
        network = Interpreter(model_content=path.read_bytes(), num_threads=1)
        network.allocate_tensors()
    except (OSError, ValueError, RuntimeError) as error:
        raise BundleError(f"{path}: cannot be loaded ({error}); copy the bundle again") from error
    _check_shapes(bundle, stage, network)
    return network


def _check_shapes(bundle: Bundle, stage: Stage, network: Interpreter) -> None:
    channels = 3 if stage.input.colour == "rgb" else 1
    wanted = (1, stage.input.height, stage.input.width, channels), (1, len(bundle.manifest.classes))
    found = (
        tuple(int(side) for side in network.get_input_details()[0]["shape"]),
        tuple(int(side) for side in network.get_output_details()[0]["shape"]),
    )
    kind = network.get_input_details()[0]["dtype"]
    if found != wanted or kind is not np.uint8:
        raise BundleError(
            f"{bundle.folder / stage.file}: takes {kind.__name__} {found[0]} and gives {found[1]}, "
            f"the manifest says uint8 {wanted[0]} and {wanted[1]}; train it again"
        )
