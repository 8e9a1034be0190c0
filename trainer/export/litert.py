"""Convert a Keras network to LiteRT in every variant."""

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
from worker.fileio import silence_stderr
from worker.inference.decode import Pixels


def convert(network: keras.Model, representative: Pixels, say: Callable[[str], None]) -> dict[Variant, bytes]:
    """Convert to LiteRT in all variants: uint8 (1, H, W, C), 0–255, in; float32 (1, classes) logits out.

    `representative`, uint8 (N, H, W, C), is the dataset that int8 takes the ranges of activations from. A
    variant that the network cannot be converted to is left out, with a message. Raises BundleError where not
    even float32 is possible.
    """
    contents = {}
    with silence_converter():
        graph = freeze_graph(network, batch=1)
        for variant in Variant:
            try:
                contents[variant] = _convert_variant(graph, variant, representative)
            except (ConverterError, RuntimeError, ValueError) as error:
                if variant is Variant.FLOAT32:
                    raise BundleError(
                        f"the network cannot be converted to LiteRT ({read_first_line(error)}); "
                        "choose another --network"
                    ) from error
                say(f"left out {variant}: the network cannot be converted to it ({read_first_line(error)})")
    return contents


def freeze_graph(network: keras.Model, batch: int | None) -> Any:
    """Trace the network for pictures uint8 (batch, H, W, C), with its weights as constants."""

    def compute_logits(pixels: Any) -> Any:
        return network(pixels, training=False)

    signature = tf.TensorSpec((batch, *network.input_shape[1:]), tf.uint8, name="pixels")
    concrete_function = tf.function(compute_logits).get_concrete_function(signature)
    return convert_variables_to_constants_v2(concrete_function)


def _convert_variant(graph: Any, variant: Variant, representative: Pixels) -> bytes:
    # By way of a SavedModel, as Keras' own export goes, each conversion takes eight times as long for the
    # same logits; with the network as second argument its weights are variables, which LiteRT never fills.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    if variant is not Variant.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant is Variant.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if variant is Variant.INT8:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32

        def list_inputs() -> Iterator[list[Any]]:
            return ([pixels[None]] for pixels in representative)

        converter.representative_dataset = list_inputs
    content: bytes = converter.convert()
    return content


@contextmanager
def silence_converter() -> Iterator[None]:
    """Hold back what TensorFlow's converters say, on standard error and as warnings."""
    with silence_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_first_line(error: Exception) -> str:
    """Return the first line of an error's message that is not blank, or else the error's type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
