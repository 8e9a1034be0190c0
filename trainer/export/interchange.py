"""Write a network in the formats of other runtimes, and see that they answer as Keras does."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worker.errors import BundleError, ConfigError
from worker.inference.decode import Pixels

if TYPE_CHECKING:
    import keras

EXPORT_FOLDER = "export"
EXPORT_FORMATS = ("onnx", "saved_model")

_ONNX_LIBRARIES = ("onnx", "onnxruntime", "tf2onnx")

_OPSET = 17
"""Of ONNX: since 2022, so that old runtimes read it too."""

_TOLERANCE = 1e-3
"""In logits: float32 in another order of summation."""


def check_exports(formats: Sequence[str]) -> None:
    """Raise ConfigError, with what installs them, where libraries that a format needs are missing."""
    missing = [name for name in _ONNX_LIBRARIES if importlib.util.find_spec(name) is None]
    if "onnx" in formats and missing:
        raise ConfigError(
            f"--export onnx needs {', '.join(missing)}, not installed: pip install 'moodsort[onnx]'"
        )


def write_exports(
    folder: Path,
    network: "keras.Model",
    formats: Sequence[str],
    inputs: Pixels,
    expected: NDArray[np.float32],
) -> None:
    """Write `network.onnx` and `saved_model` into the folder, as asked for, and check their answers.

    Both take uint8 (N, H, W, C), 0–255, as the bundle's network does, and give float32 (N, classes) logits;
    in ONNX these are called `pixels` and `logits`.
    `inputs` and `expected` are golden inputs and Keras' logits. Raises BundleError where the answers differ.
    """
    if not formats:
        return
    folder.mkdir()
    if "onnx" in formats:
        _check(folder / "network.onnx", _run_onnx(folder / "network.onnx", network, inputs), expected)
    if "saved_model" in formats:
        _check(folder / "saved_model", _run_saved_model(folder / "saved_model", network, inputs), expected)


def _run_onnx(path: Path, network: "keras.Model", inputs: Pixels) -> NDArray[np.float32]:
    from onnxruntime import InferenceSession, SessionOptions
    from onnxruntime.capi import onnxruntime_pybind11_state as refusals

    from trainer.export.litert import read_first_line

    options = SessionOptions()
    options.intra_op_num_threads = 1
    try:
        _write_onnx(path, network)
        session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found: NDArray[np.float32] = session.run(["logits"], {"pixels": inputs})[0]
    except (ValueError, RuntimeError, refusals.Fail, refusals.InvalidGraph, refusals.NotImplemented) as error:
        raise BundleError(
            f"{path.name}: this network cannot be had as ONNX ({read_first_line(error)}); leave out --export onnx"
        ) from error
    return found


def _write_onnx(path: Path, network: "keras.Model") -> None:
    import tf2onnx

    from trainer.export.litert import freeze_graph, silence_converter

    with silence_converter():
        # Keras' own export leaves the constants of a Normalization layer as inputs that nobody feeds.
        graph = freeze_graph(network, batch=None)
        taken, given = graph.inputs[0].name, graph.outputs[0].name
        tf2onnx.convert.from_graph_def(
            graph.graph.as_graph_def(),
            input_names=[taken],
            output_names=[given],
            opset=_OPSET,
            tensors_to_rename={taken: "pixels", given: "logits"},
            output_path=os.fspath(path),
        )


def _run_saved_model(path: Path, network: "keras.Model", inputs: Pixels) -> NDArray[np.float32]:
    import tensorflow as tf

    from trainer.export.litert import read_first_line, silence_converter

    try:
        with silence_converter():
            network.export(path, format="tf_saved_model", verbose=False)
            served = tf.saved_model.load(path)
    except tf.errors.OpError as error:
        raise BundleError(
            f"{path.name}: cannot be written ({read_first_line(error)}); check the disk, or leave out --export"
        ) from error
    found: NDArray[np.float32] = served.serve(inputs).numpy()
    return found


def _check(path: Path, found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    worst = float(np.abs(found - expected).max())
    if not worst <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise BundleError(
            f"{path.name}: its logits differ from the trained network's by {worst:.4g}; "
            f"leave out --export, or install the versions that moodsort[train,onnx] names"
        )
