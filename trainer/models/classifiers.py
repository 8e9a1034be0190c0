"""Build classifiers of pictures, with the scaling of the pixels inside."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from trainer.models.architectures import IMAGENET, MODEL_FILE, NO_WEIGHTS
from trainer.models.blocks import MOMENTUM, add_convolution, add_residual_block
from trainer.models.detector_network import LEVELS, build_detector
from worker.errors import ConfigError, MoodsortError
from worker.inference.manifest import InputSpec

_CHANNELS = {"rgb": 3, "grey": 1}

_STEM_FILTERS = 24
_SMALL_BLOCKS = ((32, 2), (64, 2), (64, 1), (128, 2))
"""Filters and stride of each residual block: 0.38 million parameters, 38 million operations at 96 × 96."""

_MEDIUM_STEM_FILTERS = 32
_MEDIUM_BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1))
"""0.7 million parameters, 48 million operations at 48 × 48: for faces, small and full of detail."""

_DROPOUT = 0.3


class WeightsUnavailable(MoodsortError):
    """The weights that a network should begin with cannot be downloaded or read."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What a network is built for: what it reads, the number of classes, and its seed."""

    input: InputSpec
    classes: int
    seed: int


def build_network(plan: NetworkPlan, name: str = "small", weights: str = NO_WEIGHTS) -> keras.Model:
    """Build a network: uint8 (N, height, width, 1 or 3), 0–255, to float32 (N, classes) logits.

    Raises WeightsUnavailable where the weights cannot be downloaded or read.
    """
    keras.utils.set_random_seed(plan.seed)
    if name == "backbone":
        return _build_backbone_classifier(plan, weights)
    if name in _APPLICATIONS:
        return _build_application(plan, _APPLICATIONS[name], weights)
    return _OWN[name](plan)


def add_flip_tta(network: keras.Model) -> keras.Model:
    """Add flip test-time augmentation: the mean of the logits for a picture and for its mirror image.

    Pictures are mirrored at random in training, so what differs between the two is noise. The weights are
    shared.
    """
    inputs = keras.Input(network.input_shape[1:], dtype="uint8", name="pixels")
    both = ops.concatenate([inputs, ops.flip(inputs, axis=2)], axis=0)
    straight, mirrored = ops.split(network(both), 2, axis=0)
    return keras.Model(inputs, ops.multiply(ops.add(straight, mirrored), 0.5))


def load_network(folder: Path, plan: NetworkPlan, *, new_head: bool) -> keras.Model:
    """Load a bundle's model.keras, to be trained further; `new_head` replaces its last layer.

    Raises ConfigError where the bundle has none that this Keras reads.
    """
    keras.utils.set_random_seed(plan.seed)
    path = folder / MODEL_FILE
    try:
        loaded = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path}: cannot be trained further ({_read_first_line(error)}); train it without --no-keras"
        ) from error
    if not new_head:
        return loaded
    # Every network here ends with its head as the last layer, see _add_head.
    return _add_head(loaded.inputs, loaded.layers[-2].output, plan)


def _build_small(plan: NetworkPlan) -> keras.Model:
    return _build_residual_network(plan, _STEM_FILTERS, _SMALL_BLOCKS)


def _build_medium(plan: NetworkPlan) -> keras.Model:
    return _build_residual_network(plan, _MEDIUM_STEM_FILTERS, _MEDIUM_BLOCKS)


def _build_residual_network(plan: NetworkPlan, stem: int, blocks: tuple[tuple[int, int], ...]) -> keras.Model:
    """Build two 3 × 3 convolutions a block, with an average-pooled projection where a block reduces.

    He et al. 2016; the ResNet-D shortcut of He et al. 2019.
    """
    inputs = _make_input(plan)
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = add_convolution(x, stem, size=3, stride=2)
    x = layers.ReLU()(x)
    for filters, stride in blocks:
        x = add_residual_block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return _add_head(inputs, layers.Dropout(_DROPOUT, seed=plan.seed)(x), plan)


def _build_backbone_classifier(plan: NetworkPlan, weights: str) -> keras.Model:
    """Pool the two coarsest levels of a detector's backbone: what shows people, and where they are."""
    detector = build_detector(plan.input.width, plan.seed)
    if weights != NO_WEIGHTS:
        try:
            detector.set_weights(keras.saving.load_model(weights, compile=False).get_weights())
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _explain_unavailable(weights, error) from error
    *_, fine, coarse = (detector.get_layer(level).output for level in LEVELS)
    pooled = [
        layers.GlobalAveragePooling2D()(coarse),
        layers.GlobalMaxPooling2D()(coarse),
        layers.GlobalAveragePooling2D()(fine),
    ]
    x = layers.Dropout(_DROPOUT, seed=plan.seed)(layers.Concatenate()(pooled))
    return _add_head(detector.inputs, x, plan)


def _build_tutorial(plan: NetworkPlan) -> keras.Model:
    """Build the three convolutions of the usual tutorial, for comparison."""
    inputs = _make_input(plan)
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (16, 32, 16):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    return _add_head(inputs, layers.Dense(256, activation="relu")(x), plan)


def _build_application(plan: NetworkPlan, constructor: Callable[..., Any], weights: str) -> keras.Model:
    inputs = _make_input(plan)
    x = layers.Rescaling(1.0)(inputs)  # to float32; what else it takes, the network does by itself
    if plan.input.colour == "grey":
        x = layers.Concatenate()([x, x, x])
    try:
        with warnings.catch_warnings(action="ignore"):  # about inputs that are not 224 × 224
            backbone = constructor(
                include_top=False,
                weights=None if weights == NO_WEIGHTS else weights,
                input_tensor=x,
                include_preprocessing=True,
            )
    except Exception as error:  # what the download raises depends on what is between here and there
        raise _explain_unavailable(weights, error) from error
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    x = layers.GlobalAveragePooling2D()(backbone.output)
    return _add_head(inputs, layers.Dropout(_DROPOUT, seed=plan.seed)(x), plan)


def _explain_unavailable(weights: str, error: Exception) -> WeightsUnavailable:
    cause = _read_first_line(error)
    if weights == IMAGENET:
        return WeightsUnavailable(
            f"the ImageNet weights cannot be downloaded ({cause}); "
            "give --weights none, or --weights FILE with a downloaded copy"
        )
    return WeightsUnavailable(
        f"{weights}: is no file of weights for this network ({cause}); give another file"
    )


def _read_first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _make_input(plan: NetworkPlan) -> Any:
    channels = _CHANNELS[plan.input.colour]
    return keras.Input((plan.input.height, plan.input.width, channels), dtype="uint8", name="pixels")


def _add_head(inputs: Any, features: Any, plan: NetworkPlan) -> keras.Model:
    return keras.Model(inputs, layers.Dense(plan.classes, name="logits")(features))


_OWN: dict[str, Callable[[NetworkPlan], keras.Model]] = {
    "small": _build_small,
    "medium": _build_medium,
    "tutorial": _build_tutorial,
}

_APPLICATIONS: dict[str, Callable[..., Any]] = {
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
    "efficientnet_v2_b0": keras.applications.EfficientNetV2B0,
}
