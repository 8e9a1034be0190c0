"""The networks that a classifier may be, what each reads and begins with; without TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trainer.data.images import read_image
from worker.errors import BadPhoto, ConfigError
from worker.inference.manifest import InputSpec

Colour = Literal["rgb", "grey"]

MAX_STRIDE = 32
"""Pixels of the input on a side of a position of the detector's coarsest level."""

MODEL_FILE = "model.keras"
"""The file of a bundle from which it can be trained further."""

IMAGENET = "imagenet"
NO_WEIGHTS = "none"

_SIDES = (32, 48, 64, 96)
"""What moodsort's own networks read: the smallest side that is not below the pictures', at most the last."""

_MAX_INSPECTED_FILES = 48
"""That many pictures tell how large all are, and whether they have colour."""

_MAX_INSPECTED_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network: what it reads where that is prescribed, and what it may begin with.

    `weights` is what it may begin with other than nothing: a download, or a file that `detector train` wrote.
    `stride` is what its side has to be a multiple of; `fixed_colour` says that it reads no other colour.
    """

    side: int | None
    colour: Colour | None
    weights: Literal["none", "imagenet", "detector"]
    stride: int = 1
    fixed_colour: bool = False


ARCHITECTURES = {
    "small": Architecture(None, None, "none"),
    "medium": Architecture(None, None, "none"),
    "backbone": Architecture(192, "rgb", "detector", stride=MAX_STRIDE, fixed_colour=True),
    "tutorial": Architecture(256, "rgb", "none"),
    "mobilenet_v3_small": Architecture(160, "rgb", "imagenet"),
    "efficientnet_v2_b0": Architecture(160, "rgb", "imagenet"),
}


def choose_input(network: str, side: int | None, colour: Colour | None, files: Sequence[Path]) -> InputSpec:
    """Return what the network reads: as a person says, else its architecture, else as the pictures are.

    Raises ConfigError for an input that it cannot read.
    """
    architecture = ARCHITECTURES[network]
    side = side or architecture.side
    colour = colour or architecture.colour
    has_wrong_colour = architecture.fixed_colour and colour != architecture.colour
    if has_wrong_colour or (side or 0) % architecture.stride:
        raise ConfigError(
            f"--network {network} reads --colour {architecture.colour}, "
            f"and an --input-size that is a multiple of {architecture.stride}"
        )
    if side is None or colour is None:
        natural = _infer_input(files)
        side, colour = side or natural.width, colour or natural.colour
    return InputSpec(side, side, colour, "stretch")


def choose_weights(network: str, weights: str | None, start_from: Path | None) -> str:
    """Return what the network begins with: "imagenet", "none" or a file.

    `start_from` is a bundle to begin with instead. Raises ConfigError for what the network cannot begin with.
    """
    architecture = ARCHITECTURES[network]
    if weights is None:
        return IMAGENET if architecture.weights == IMAGENET and start_from is None else NO_WEIGHTS
    if start_from is not None:
        raise ConfigError("--weights and --start-from both say what to begin with; give one of them")
    if weights != NO_WEIGHTS and architecture.weights == NO_WEIGHTS:
        raise ConfigError(f"--weights {weights}: there are none for the network {network}; give none")
    names = (IMAGENET, NO_WEIGHTS) if architecture.weights == IMAGENET else (NO_WEIGHTS,)
    if weights not in names and not Path(weights).is_file():
        raise ConfigError(f"--weights {weights}: is no file; give {', '.join(names)} or the file's path")
    return weights


def check_detector_input(side: int) -> None:
    """Raise ConfigError for a side in pixels that a detector cannot read."""
    if side % MAX_STRIDE:
        nearest = side - side % MAX_STRIDE + MAX_STRIDE
        raise ConfigError(f"--input-size {side}: is no multiple of {MAX_STRIDE}; give {nearest}")


def _infer_input(files: Sequence[Path]) -> InputSpec:
    """Return the input that suits the median side of the pictures, and grey where none of them has colour."""
    # Evenly spaced, because files lie class by class.
    count = min(_MAX_INSPECTED_FILES, len(files))
    sides, has_colour = [], False
    for index in np.linspace(0, len(files) - 1, count).astype(int):
        try:
            _, picture = read_image(files[index], max_pixels=_MAX_INSPECTED_PIXELS, max_side=_SIDES[-1])
        except BadPhoto:  # reported when all files are read
            continue
        sides.append(min(picture.width, picture.height))
        has_colour = has_colour or bool(np.ptp(picture.pixels, axis=2).any())
    typical = float(np.median(sides)) if sides else float(_SIDES[-1])
    side = next((side for side in _SIDES if side >= typical), _SIDES[-1])
    return InputSpec(side, side, "rgb" if has_colour or not sides else "grey", "stretch")
