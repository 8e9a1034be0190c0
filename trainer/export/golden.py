"""Make the golden inputs and answers with which a worker tests a bundle before it judges a photo."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from PIL import Image

from worker.inference.bundle import Golden, InputSpec, file_sha256
from worker.inference.decode import Pixels
from worker.inference.network import Network

_MOST_INPUTS = 8
_LEAST_INPUTS = 2
_PIXELS = 200_000
"""So many in all inputs, beyond the least."""

_STEP = 16
"""Of the gradients' tones: like blocks of one colour they compress well, and are a part of every bundle."""

_LEAST_TOLERANCE = 0.05
"""In logits, or cells of a finder: far above what processors round differently in float32, far below another
network's answers."""

_SAFETY = 4.0


def golden_inputs(spec: InputSpec, seed: int) -> Pixels:
    """Draw 2 to 8 pictures of nothing, coloured blocks and gradients: uint8 (N, height, width, 1 or 3)."""
    draw = np.random.default_rng(seed)
    channels = 3 if spec.colour == "rgb" else 1
    count = max(_LEAST_INPUTS, min(_MOST_INPUTS, _PIXELS // (spec.width * spec.height)))
    drawn = [_noise(spec, channels, draw) for _ in range(count // 2)]
    drawn += [_gradient(spec, channels, draw) for _ in range(count - count // 2)]
    return np.stack(drawn)


def write_golden(path: Path, network: Network, seed: int) -> Golden:
    """Write golden inputs and the network's own answers into a file beside the network's."""
    inputs = golden_inputs(network.stage.input, seed)
    given = answers(network, inputs)
    np.savez_compressed(path, inputs=inputs, answers=given)
    return Golden(path.name, file_sha256(path), golden_tolerance(network.path, inputs, given))


def golden_tolerance(network: Path, inputs: Pixels, given: NDArray[np.float32]) -> float:
    """Return how far the answers to the golden inputs may be off on another processor.

    Arithmetic with 8 bits is rounded otherwise by other kernels. LiteRT has two sets that share no code,
    XNNPACK's, which gave `given`, float32 (N, …), and its own; what these two differ by here stands
    for what processors differ by, and four times that is allowed.
    """
    own = Interpreter(
        model_content=network.read_bytes(),
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    own.allocate_tensors()
    place, answer = own.get_input_details()[0]["index"], own.get_output_details()[0]["index"]
    worst = 0.0
    for pixels, expected in zip(inputs, given, strict=True):
        own.set_tensor(place, pixels[np.newaxis])
        own.invoke()
        worst = max(worst, float(np.abs(own.get_tensor(answer)[0] - expected).max()))
    return max(_LEAST_TOLERANCE, _SAFETY * worst)


def answers(network: Network, inputs: Pixels) -> NDArray[np.float32]:
    """Run a network as the worker does on uint8 (N, height, width, channels): float32 (N, …)."""
    return np.stack([network.run(pixels) for pixels in inputs])


def _noise(spec: InputSpec, channels: int, draw: np.random.Generator) -> Pixels:
    side = int(draw.integers(3, 12))
    coarse = draw.integers(0, 256, (side, side, 3), np.uint8)
    blocks = Image.fromarray(coarse).resize((spec.width, spec.height), Image.Resampling.NEAREST)
    return np.asarray(blocks, np.uint8)[..., :channels]


def _gradient(spec: InputSpec, channels: int, draw: np.random.Generator) -> Pixels:
    rows = np.linspace(0, 1, spec.height)[:, None, None]
    columns = np.linspace(0, 1, spec.width)[None, :, None]
    corners = draw.uniform(0, 255, (4, channels))
    above = corners[0] + columns * (corners[1] - corners[0])
    below = corners[2] + columns * (corners[3] - corners[2])
    slope = np.asarray(above + rows * (below - above), np.uint8)
    return slope // _STEP * _STEP
