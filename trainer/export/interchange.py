"""Write a network in the formats of other runtimes, and check that its logits there are those of Keras.

TensorFlow and the libraries of ONNX are imported inside functions: `check_exports` runs before either has to
be there, and the former takes seconds to start.
"""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worker.errors import BundleError, ConfigError, suggest_extra
from worker.inference.decode import Pixels

if TYPE_CHECKING:
    import keras

EXPORT_FOLDER = "export"
EXPORT_FORMATS = ("onnx", "saved_model")

_ONNX_LIBRARIES = ("onnx", "onnxruntime", "tf2onnx")

_OPSET = 17
"""Of ONNX: from 2022, so that old runtimes read it too."""

_TOLERANCE = 1e-3
"""In logits: float32 added up in another order."""


def check_exports(formats: Sequence[str]) -> None:
    """Raise ConfigError where libraries that a format needs are missing; it says how to install them."""
    missing = [name for name in _ONNX_LIBRARIES if importlib.util.find_spec(name) is None]
    if "onnx" in formats and missing:
        raise ConfigError(f"--export onnx needs {', '.join(missing)}, not installed; {suggest_extra('onnx')}")


def write_exports(
    folder: Path,
    network: "keras.Model",
    formats: Sequence[str],
    inputs: Pixels,
    expected: NDArray[np.float32],
) -> None:
    """Write `network.onnx` and `saved_model` into the folder, as far as `formats` names them, and check them.

    Both take uint8 (N, H, W, C), 0–255, as the bundle's network does, and give float32 (N, classes) logits;
    in ONNX these are called `pixels` and `logits`. `inputs` are golden inputs, `expected` Keras' logits for
    them. Raises BundleError where the logits differ.
    """
    if not formats:
        return
    folder.mkdir()
    if "onnx" in formats:
        path = folder / "network.onnx"
        _check_logits(path, _run_onnx(path, network, inputs), expected)
    if "saved_model" in formats:
        path = folder / "saved_model"
        _check_logits(path, _run_saved_model(path, network, inputs), expected)


def _run_onnx(path: Path, network: "keras.Model", inputs: Pixels) -> NDArray[np.float32]:
    from onnxruntime import InferenceSession, SessionOptions
    from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

    from trainer.export.litert import read_first_line

    options = SessionOptions()
    options.intra_op_num_threads = 1
    try:
        _write_onnx(path, network)
        session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
        logits: NDArray[np.float32] = session.run(["logits"], {"pixels": inputs})[0]
    except (
        ValueError,
        RuntimeError,
        onnx_errors.Fail,
        onnx_errors.InvalidGraph,
        onnx_errors.NotImplemented,
    ) as error:
        raise BundleError(
            f"{path.name}: this network cannot be converted to ONNX ({read_first_line(error)}); "
            "leave out --export onnx"
        ) from error
    return logits


def _write_onnx(path: Path, network: "keras.Model") -> None:
    import tf2onnx

    from trainer.export.litert import freeze_graph, silence_converter

    with silence_converter():
        # Keras' own export leaves the constants of a Normalization layer as inputs that nobody feeds.
        graph = freeze_graph(network, batch=None)
        input_name, output_name = graph.inputs[0].name, graph.outputs[0].name
        tf2onnx.convert.from_graph_def(
            graph.graph.as_graph_def(),
            input_names=[input_name],
            output_names=[output_name],
            opset=_OPSET,
            tensors_to_rename={input_name: "pixels", output_name: "logits"},
            output_path=os.fspath(path),
        )


def _run_saved_model(path: Path, network: "keras.Model", inputs: Pixels) -> NDArray[np.float32]:
    import tensorflow as tf

    from trainer.export.litert import read_first_line, silence_converter

    try:
        with silence_converter():
            network.export(path, format="tf_saved_model", verbose=False)
            saved_model = tf.saved_model.load(path)
    except tf.errors.OpError as error:
        raise BundleError(
            f"{path.name}: cannot be written ({read_first_line(error)}); "
            "check the disk, or leave out --export saved_model"
        ) from error
    logits: NDArray[np.float32] = saved_model.serve(inputs).numpy()
    return logits


def _check_logits(path: Path, logits: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    difference = float(np.abs(logits - expected).max())
    if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise BundleError(
            f"{path.name}: its logits differ from the trained network's by {difference:.4g}; "
            f"leave out --export, or install the versions that moodsort[train,onnx] names"
        )
