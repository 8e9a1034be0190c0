"""Build the network that detects faces: a heatmap of their centres, with offsets and sizes."""

import math
from typing import Any

import keras
from keras import layers

from trainer.models.blocks import add_convolution, add_residual_block
from worker.inference.network import HEATMAP_CHANNELS

_STEM = (16, 24)
_BLOCKS = ((24, 1, 1), (40, 2, 2), (64, 2, 2), (96, 2, 2))
"""Filters, stride of the first, and number of residual blocks of each level, from stride 4 on."""

LEVELS = ("fourth", "eighth", "sixteenth", "thirty_second")
"""The last layer of each level of the backbone, by its share of the input's side."""

_NECK_FILTERS = 48

_PRIOR_LOGIT = -math.log((1 - 0.01) / 0.01)
"""Of the heatmap at first: a face in one of a hundred positions (Lin et al. 2017, "Focal loss", 3.3)."""

_PRIOR_LOG_SIDE = math.log(5.0)
"""Of a face, in strides."""


def build_detector(side: int, seed: int) -> keras.Model:
    """Build a detector: uint8 (N, side, side, 3), 0–255, to float32 (N, side / 8, side / 8, 4).

    A residual backbone (He et al. 2016) down to stride 32, whose levels are added up again to stride 8 (Lin
    et al. 2017, "Feature pyramid networks"), and one heatmap of centres (Zhou et al. 2019, "Objects as
    points").
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((side, side, 3), dtype="uint8", name="pixels")
    levels = _add_backbone(layers.Rescaling(1 / 127.5, offset=-1.0)(inputs))
    x = _add_feature_pyramid(levels)
    x = layers.ReLU()(add_convolution(x, _NECK_FILTERS, 3, 1))
    prior = keras.initializers.Constant([_PRIOR_LOGIT, 0.0, 0.0, _PRIOR_LOG_SIDE])
    heatmap = layers.Conv2D(HEATMAP_CHANNELS, 1, bias_initializer=prior, name="faces")(x)
    return keras.Model(inputs, heatmap)


def resize_detector(network: keras.Model, side: int) -> keras.Model:
    """Return the same network, convolutions from end to end, for another side that is a multiple of 32."""
    resized = build_detector(side, seed=0)
    resized.set_weights(network.get_weights())
    return resized


def _add_backbone(x: Any) -> list[Any]:
    """Add the backbone; return the outputs of its levels, the finest first."""
    for filters in _STEM:
        x = layers.ReLU()(add_convolution(x, filters, 3, 2))
    levels: list[Any] = []
    for name, (filters, stride, blocks) in zip(LEVELS, _BLOCKS, strict=True):
        for block in range(blocks):
            is_last = block == blocks - 1
            x = add_residual_block(x, filters, stride if block == 0 else 1, name if is_last else None)
        levels.append(x)
    return levels


def _add_feature_pyramid(levels: list[Any]) -> Any:
    x = add_convolution(levels[-1], _NECK_FILTERS, 1, 1)
    # The finest level is left out: the heatmap has the stride of the second.
    for level in levels[-2:0:-1]:
        x = layers.UpSampling2D(interpolation="nearest")(x)
        x = layers.Add()([x, add_convolution(level, _NECK_FILTERS, 1, 1)])
    return layers.ReLU()(x)
