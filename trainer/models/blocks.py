"""The convolutions that moodsort's own networks are built of."""

from typing import Any

from keras import layers

MOMENTUM = 0.97
"""Of batch normalisation: the 0.99 and 0.999 of keras.applications need more steps than small data has."""


def add_residual_block(x: Any, filters: int, stride: int, name: str | None = None) -> Any:
    """Add two 3 × 3 convolutions to their input, average-pooled and projected where the shape changes.

    He et al. 2016; the ResNet-D shortcut of He et al. 2019. `name` is that of the last layer.
    """
    y = layers.ReLU()(add_convolution(x, filters, size=3, stride=stride))
    y = add_convolution(y, filters, size=3, stride=1)
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != filters:
        x = add_convolution(x, filters, size=1, stride=1)
    return layers.ReLU(name=name)(layers.Add()([x, y]))


def add_convolution(x: Any, filters: int, size: int, stride: int) -> Any:
    """Convolve and normalise, without an activation."""
    x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(
        x
    )
    return layers.BatchNormalization(momentum=MOMENTUM)(x)
