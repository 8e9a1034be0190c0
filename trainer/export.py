"""Write the files of a bundle: the LiteRT network, golden answers, manifest and report."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from trainer.recipe import Recipe
from worker.bundle import (
    FORMAT_VERSION,
    Calibration,
    Golden,
    InputSpec,
    Manifest,
    Metric,
    Stage,
    TrainingData,
    file_sha256,
    weights_version,
    write_manifest,
)
from worker.imaging import Pixels

_NETWORK_FILE = "reader.tflite"
_GOLDEN_FILE = "golden.npz"

_GOLDEN_INPUTS = 8
_GOLDEN_TOLERANCE = 0.05
"""In logits: far above what other processors round differently, far below what another network answers."""

_LIBRARIES = ("ai-edge-litert", "keras", "numpy", "pillow", "tensorflow")


@dataclass(frozen=True, slots=True)
class Findings:
    """What training found out that the manifest records."""

    classes: tuple[str, ...]
    temperature: float
    training_data: TrainingData
    metrics: tuple[Metric, ...]


def write_bundle(folder: Path, network: keras.Model, recipe: Recipe, findings: Findings) -> Manifest:
    """Write a whole bundle into an empty folder and return its manifest."""
    (folder / _NETWORK_FILE).write_bytes(as_litert(network))
    inputs = golden_inputs(recipe.input, recipe.seed)
    logits = _litert_logits(folder / _NETWORK_FILE, inputs)
    np.savez_compressed(folder / _GOLDEN_FILE, inputs=inputs, logits=logits)
    if recipe.keep_keras:
        network.save(folder / "model.keras")
    manifest = _manifest(folder, recipe, findings)
    write_manifest(folder, manifest)
    return manifest


def as_litert(network: keras.Model) -> bytes:
    """Convert to LiteRT: uint8 (1, H, W, C) in, float32 (1, classes) logits out, weights as float16.

    Half of float32's size, and the same answers to three decimals on every processor, because arithmetic
    stays float32; with 8-bit weights LiteRT rounds activations too, and each processor in its own way.
    """
    shape = (1, *network.input_shape[1:])

    def answer(pixels: Any) -> Any:
        return network(pixels, training=False)

    concrete = tf.function(answer).get_concrete_function(tf.TensorSpec(shape, tf.uint8))
    # A second argument, the network, would keep its weights as variables, which LiteRT never fills.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    converted: bytes = converter.convert()
    return converted


def golden_inputs(spec: InputSpec, seed: int) -> Pixels:
    """Draw pictures of nothing, smooth noise and gradients: uint8 (N, height, width, 1 or 3)."""
    draw = np.random.default_rng(seed)
    channels = 3 if spec.colour == "rgb" else 1
    drawn = [_noise(spec, channels, draw) for _ in range(_GOLDEN_INPUTS // 2)]
    drawn += [_gradient(spec, channels, draw) for _ in range(_GOLDEN_INPUTS // 2)]
    return np.stack(drawn)


def _noise(spec: InputSpec, channels: int, draw: np.random.Generator) -> Pixels:
    side = int(draw.integers(3, 12))
    coarse = draw.integers(0, 256, (side, side, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((spec.width, spec.height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, np.uint8)[..., :channels]


def _gradient(spec: InputSpec, channels: int, draw: np.random.Generator) -> Pixels:
    rows = np.linspace(0, 1, spec.height)[:, None, None]
    columns = np.linspace(0, 1, spec.width)[None, :, None]
    corners = draw.uniform(0, 255, (4, channels))
    above = corners[0] + columns * (corners[1] - corners[0])
    below = corners[2] + columns * (corners[3] - corners[2])
    return np.asarray(above + rows * (below - above), np.uint8)


def _litert_logits(path: Path, inputs: Pixels) -> NDArray[np.float32]:
    network = Interpreter(model_content=path.read_bytes(), num_threads=1)
    network.allocate_tensors()
    place, answer = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]
    logits = []
    for pixels in inputs:
        network.set_tensor(place, pixels[np.newaxis])
        network.invoke()
        logits.append(network.get_tensor(answer)[0])
    return np.stack(logits)


def _manifest(folder: Path, recipe: Recipe, findings: Findings) -> Manifest:
    stage = Stage("reader", "whole", _NETWORK_FILE, file_sha256(folder / _NETWORK_FILE), recipe.input)
    libraries = {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
    return Manifest(
        format_version=FORMAT_VERSION,
        name=recipe.name,
        version=weights_version((stage,)),
        classes=findings.classes,
        working_side=recipe.working_side,
        stages=(stage,),
        calibration=Calibration("temperature", findings.temperature),
        decision_threshold=None,
        golden=Golden(_GOLDEN_FILE, file_sha256(folder / _GOLDEN_FILE), _GOLDEN_TOLERANCE),
        training_data=findings.training_data,
        metrics=findings.metrics,
        libraries=libraries,
        command=recipe.command,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
