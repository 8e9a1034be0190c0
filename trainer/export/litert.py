"""Convert a Keras network to LiteRT in every variant."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from trainer.export.variants import Variant
from worker.errors import BundleError
from worker.inference.decode import Pixels


def convert(network: keras.Model, calibration: Pixels, say: Callable[[str], None]) -> dict[Variant, bytes]:
    """Convert to LiteRT: uint8 (1, H, W, C), 0–255, in; float32 (1, classes) logits out; in all variants.

    `calibration`, uint8 (N, H, W, C), shows int8 the ranges of activations. A variant that the network
    cannot be converted to is left out, and said. Raises BundleError where not even float32 can be had.
    """
    converted = {}
    with quiet():
        graph = frozen_graph(network, batch=1)
        for variant in Variant:
            try:
                converted[variant] = _converted(graph, variant, calibration)
            except (ConverterError, RuntimeError, ValueError) as error:
                if variant is Variant.FLOAT32:
                    raise BundleError(
                        f"the network cannot be converted to LiteRT ({first_line(error)}); "
                        "choose another --network"
                    ) from error
                say(f"left out {variant}: the network cannot be converted to it ({first_line(error)})")
    return converted


def frozen_graph(network: keras.Model, batch: int | None) -> Any:
    """Trace the network for pictures uint8 (batch, H, W, C), with its weights as constants."""

    def answer(pixels: Any) -> Any:
        return network(pixels, training=False)

    shape = (batch, *network.input_shape[1:])
    traced = tf.function(answer).get_concrete_function(tf.TensorSpec(shape, tf.uint8, name="pixels"))
    return convert_variables_to_constants_v2(traced)


def _converted(graph: Any, variant: Variant, calibration: Pixels) -> bytes:
    # By way of a SavedModel, as Keras' own export goes, each conversion takes eight times as long for the
    # same answers; with the network as second argument its weights are variables, which LiteRT never fills.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    if variant is not Variant.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant is Variant.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if variant is Variant.INT8:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32

        def shown() -> Iterator[list[Any]]:
            return ([pixels[None]] for pixels in calibration)

        converter.representative_dataset = shown
    content: bytes = converter.convert()
    return content


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow's converters say on standard error, where its C++ writes past Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def first_line(error: Exception) -> str:
    """Return the first line of what an error of many lines says, its kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
