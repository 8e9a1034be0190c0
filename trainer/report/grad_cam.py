"""Show which regions of a picture a Keras network's prediction rests on: Grad-CAM (Selvaraju et al. 2017)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from trainer.report.study import Heat
from worker.inference.decode import Pixels


def compute_grad_cam(network: keras.Model, pixels: Pixels, labels: NDArray[np.int64]) -> Heat:
    """Return how much each pixel speaks for a class: float32 (N, height, width), 0–1.

    `pixels` is uint8 (N, height, width, channels), `labels` int64 (N,) the classes. The result is all zeros
    where nothing speaks for the class, or where the network has no feature map.
    """
    features = _find_last_features(network)
    if features is None:
        return np.zeros(pixels.shape[:3], np.float32)
    model = keras.Model(network.inputs, [features, network.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits = model(tf.convert_to_tensor(pixels), training=False)
        tape.watch(maps)
        class_logits = tf.gather(logits, tf.convert_to_tensor(labels), axis=1, batch_dims=1)
    gradients = tape.gradient(class_logits, maps)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    heatmaps = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    return np.stack([_enlarge(heatmap, pixels) for heatmap in heatmaps])


def _find_last_features(network: keras.Model) -> Any:
    """Return the last output of a layer that is a feature map, (N, h, w, channels), or None."""
    for layer in reversed(network.layers):
        shape: tuple[int | None, ...] = getattr(layer.output, "shape", ())
        # Global pooling that keeps its dimensions gives 1 × 1, which says nothing about regions.
        if len(shape) == 4 and shape[1] != 1 != shape[2]:
            return layer.output
    return None


def _enlarge(heatmap: Heat, pixels: Pixels) -> Heat:
    maximum = float(heatmap.max())
    image = Image.fromarray(heatmap / maximum if maximum > 0 else heatmap)
    _, height, width, _ = pixels.shape
    large = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large, np.float32), 0.0, 1.0)
