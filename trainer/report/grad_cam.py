"""Show where a Keras network looked: Grad-CAM (Selvaraju et al. 2017)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from trainer.report.study import Heat
from worker.inference.decode import Pixels


def compute_grad_cam(network: keras.Model, pixels: Pixels, labels: NDArray[np.int64]) -> Heat:
    """Return how much each place spoke for a class: float32 (N, height, width), 0–1.

    `pixels` uint8 (N, height, width, channels), `labels` int64 (N,) the class asked about. All zeros where
    nothing spoke for it, or where the network has no map of features to look at.
    """
    features = _find_last_features(network)
    if features is None:
        return np.zeros(pixels.shape[:3], np.float32)
    split = keras.Model(network.inputs, [features, network.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits = split(tf.convert_to_tensor(pixels), training=False)
        tape.watch(maps)
        scores = tf.gather(logits, tf.convert_to_tensor(labels), axis=1, batch_dims=1)
    slopes = tape.gradient(scores, maps)
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    return np.stack([_enlarge(each, pixels) for each in heat])


def _find_last_features(network: keras.Model) -> Any:
    """Return the last output of a layer that still has places, (N, h, w, channels), or None."""
    for layer in reversed(network.layers):
        shape: tuple[int | None, ...] = getattr(layer.output, "shape", ())
        if len(shape) == 4 and shape[1] != 1 != shape[2]:
            return layer.output
    return None


def _enlarge(heat: Heat, pixels: Pixels) -> Heat:
    top = float(heat.max())
    image = Image.fromarray(heat / top if top > 0 else heat)
    _, height, width, _ = pixels.shape
    large = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large, np.float32), 0.0, 1.0)
