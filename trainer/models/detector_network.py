"""Build the network that finds faces: a map of where a face's centre may be, and how large it is."""

import math
from typing import Any

import keras
from keras import layers

from trainer.models.blocks import add_convolution, add_residual_block

HEATMAP_CHANNELS = 4
"""For each cell: logit of a centre, its offset across and down in cells, and the log of the side in cells."""

_STEM = (16, 24)
_WIDTHS = ((24, 1, 1), (40, 2, 2), (64, 2, 2), (96, 2, 2))
"""Filters, stride of the first, and number of residual blocks, from a quarter of the input's side on."""

LEVELS = ("fourth", "eighth", "sixteenth", "thirty_second")
"""The layers that end the trunk's levels, by the share of the input's side that they have."""

_FUSED = 48

_RARE = -math.log((1 - 0.01) / 0.01)
"""The logit that the map begins with: one cell in a hundred (Lin et al. 2017, "Focal loss", 3.3)."""

_TYPICAL_SIDE = math.log(5.0)


def build_detector(side: int, seed: int) -> keras.Model:
    """Build a finder: uint8 (N, side, side, 3), 0–255, to float32 (N, side / 8, side / 8, 4).

    A residual trunk (He et al. 2016) down to a 32nd, added up again to an eighth (Lin et al. 2017, "Feature
    pyramid networks"), and one map of centres (Zhou et al. 2019, "Objects as points").
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((side, side, 3), dtype="uint8", name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    for filters in _STEM:
        x = layers.ReLU()(add_convolution(x, filters, 3, 2))
    levels: list[Any] = []
    for filters, stride, blocks in _WIDTHS:
        for block in range(blocks):
            name = LEVELS[len(levels)] if block == blocks - 1 else None
            x = add_residual_block(x, filters, stride if block == 0 else 1, name)
        levels.append(x)
    x = add_convolution(levels[-1], _FUSED, 1, 1)
    for level in levels[-2:0:-1]:
        x = layers.UpSampling2D(interpolation="nearest")(x)
        x = layers.Add()([x, add_convolution(level, _FUSED, 1, 1)])
    x = layers.ReLU()(x)
    x = layers.ReLU()(add_convolution(x, _FUSED, 3, 1))
    start = keras.initializers.Constant([_RARE, 0.0, 0.0, _TYPICAL_SIDE])
    return keras.Model(inputs, layers.Conv2D(HEATMAP_CHANNELS, 1, bias_initializer=start, name="faces")(x))


def resize_detector(network: keras.Model, side: int) -> keras.Model:
    """Return the same network, convolutions from end to end, for another side that is a multiple of 32."""
    resized = build_detector(side, seed=0)
    resized.set_weights(network.get_weights())
    return resized
