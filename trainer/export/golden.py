"""Make the golden inputs and outputs with which a worker tests a bundle before it predicts anything."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from PIL import Image

from worker.fileio import hash_file
from worker.inference.decode import Pixels
from worker.inference.manifest import Golden, InputSpec, NetworkSpec, OutputSpec
from worker.inference.network import Network

_MAX_INPUTS = 8
_MIN_INPUTS = 2
_MAX_PIXELS = 200_000
"""In all inputs together, unless the minimum of two has more: every bundle carries them."""

_TONE_STEP = 16
"""Of the gradients' tones: in such steps they compress as well as blocks of one colour."""

_MIN_TOLERANCE = 0.05
"""In logits, or strides of a heatmap: far above what rounding in float32 differs by between processors, far
below what networks differ by."""

_SAFETY_FACTOR = 4.0

OutputArrays = Mapping[str, NDArray[np.float32]]
"""The outputs for N inputs by their kind, each float32 (N, …)."""


def draw_golden_inputs(spec: InputSpec, seed: int) -> Pixels:
    """Draw 2 to 8 pictures of coloured blocks and gradients: uint8 (N, height, width, 1 or 3)."""
    generator = np.random.default_rng(seed)
    channels = 3 if spec.colour == "rgb" else 1
    count = max(_MIN_INPUTS, min(_MAX_INPUTS, _MAX_PIXELS // (spec.width * spec.height)))
    inputs = [_draw_blocks(spec, channels, generator) for _ in range(count // 2)]
    inputs += [_draw_gradient(spec, channels, generator) for _ in range(count - count // 2)]
    return np.stack(inputs)


def write_golden(path: Path, network: Network, seed: int) -> NetworkSpec:
    """Write golden inputs and the network's own outputs into a file beside the network's.

    Returns the network's description with the file and the outputs' tolerances.
    """
    inputs = draw_golden_inputs(network.spec.input, seed)
    outputs = run_network(network, inputs)
    np.savez_compressed(path, allow_pickle=False, inputs=inputs, **outputs)
    tolerances = measure_tolerances(network.path, inputs, outputs)
    return replace(
        network.spec,
        golden=Golden(path.name, hash_file(path)),
        outputs=tuple(OutputSpec(output.kind, tolerances[output.kind]) for output in network.spec.outputs),
    )


def measure_tolerances(network: Path, inputs: Pixels, outputs: OutputArrays) -> dict[str, float]:
    """Return how far each output for the golden inputs may be off on another processor, by its kind.

    Other kernels round 8-bit arithmetic differently. LiteRT has two sets of kernels that share no code:
    XNNPACK's, which gave `outputs`, and its own. The difference between these two stands for the difference
    between processors, and four times that is allowed.
    """
    reference = Interpreter(
        model_content=network.read_bytes(),
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    reference.allocate_tensors()
    (input_details,) = reference.get_input_details()
    # The number of dimensions tells the kind of an output; the order in which LiteRT lists them does not.
    index_by_rank = {len(details["shape"]): details["index"] for details in reference.get_output_details()}
    differences = dict.fromkeys(outputs, 0.0)
    for index, pixels in enumerate(inputs):
        reference.set_tensor(input_details["index"], pixels[np.newaxis])
        reference.invoke()
        for kind, expected in outputs.items():
            output = reference.get_tensor(index_by_rank[expected.ndim])[0]
            differences[kind] = max(differences[kind], float(np.abs(output - expected[index]).max()))
    return {kind: max(_MIN_TOLERANCE, _SAFETY_FACTOR * value) for kind, value in differences.items()}


def run_network(network: Network, inputs: Pixels) -> dict[str, NDArray[np.float32]]:
    """Run a network as the worker does on uint8 (N, height, width, channels): each output float32 (N, …)."""
    outputs = [network.run(pixels) for pixels in inputs]
    return {kind: np.stack([output[kind] for output in outputs]) for kind in outputs[0]}


def _draw_blocks(spec: InputSpec, channels: int, generator: np.random.Generator) -> Pixels:
    side = int(generator.integers(3, 12))
    coarse = generator.integers(0, 256, (side, side, 3), np.uint8)
    blocks = Image.fromarray(coarse).resize((spec.width, spec.height), Image.Resampling.NEAREST)
    return np.asarray(blocks, np.uint8)[..., :channels]


def _draw_gradient(spec: InputSpec, channels: int, generator: np.random.Generator) -> Pixels:
    rows = np.linspace(0, 1, spec.height)[:, None, None]
    columns = np.linspace(0, 1, spec.width)[None, :, None]
    corners = generator.uniform(0, 255, (4, channels))
    top = corners[0] + columns * (corners[1] - corners[0])
    bottom = corners[2] + columns * (corners[3] - corners[2])
    gradient = np.asarray(top + rows * (bottom - top), np.uint8)
    return gradient // _TONE_STEP * _TONE_STEP
