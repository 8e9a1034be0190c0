"""The network that reads a whole picture: a small residual CNN with scaling of the pixels inside."""

from typing import Any

import keras
from keras import layers

from worker.bundle import InputSpec

_CHANNELS = {"rgb": 3, "grey": 1}

_STEM_FILTERS = 24
_BLOCKS = ((32, 2), (64, 2), (64, 1), (128, 2))
"""Filters and stride of each residual block: 0.38 million parameters, 38 million products at 96 × 96."""

_DROPOUT = 0.3


def build_network(spec: InputSpec, classes: int, seed: int) -> keras.Model:
    """Build the untrained network: uint8 (N, height, width, 1 or 3), 0–255, to float32 (N, classes) logits.

    Two 3 × 3 convolutions a block, with an average-pooled projection beside where a block reduces (He et
    al. 2016; the ResNet-D shortcut of He et al. 2019).
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((spec.height, spec.width, _CHANNELS[spec.colour]), dtype="uint8", name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = _convolved(x, _STEM_FILTERS, size=3, stride=2)
    x = layers.ReLU()(x)
    for filters, stride in _BLOCKS:
        x = _residual(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(_DROPOUT, seed=seed)(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x))


def _residual(x: Any, filters: int, stride: int) -> Any:
    y = layers.ReLU()(_convolved(x, filters, size=3, stride=stride))
    y = _convolved(y, filters, size=3, stride=1)
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != filters:
        x = _convolved(x, filters, size=1, stride=1)
    return layers.ReLU()(layers.Add()([x, y]))


def _convolved(x: Any, filters: int, size: int, stride: int) -> Any:
    x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(
        x
    )
    return layers.BatchNormalization(momentum=0.97)(x)
