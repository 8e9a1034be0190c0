"""Choose what a person leaves open, by the network and by the pictures; without TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trainer.data.images import read_image
from trainer.training.configuration import (
    BACKBONE_HYPERPARAMETERS,
    FINE_TUNING_HYPERPARAMETERS,
    TUTORIAL_HYPERPARAMETERS,
    Hyperparameters,
)
from worker.errors import BadPhoto, ConfigError
from worker.inference.bundle import InputSpec

Colour = Literal["rgb", "grey"]

COARSEST_STRIDE = 32
"""Pixels of the input on a side of a position of the detector's coarsest level."""

IMAGENET = "imagenet"
NO_WEIGHTS = "none"

_SIDES = (32, 48, 64, 96)
"""What moodsort's own networks read: the least that the pictures do not outgrow, at most the last."""

_GLANCED = 48
"""So many pictures tell how large all are, and whether they have colour."""

_GLANCE_PIXELS = 100_000_000

_SHOWN_PICTURES = 150_000
_EPOCHS = (24, 200)
"""Pictures shown in all, and the epochs that this may come to; measured on 240, 525 and 9342 pictures."""

_FEWEST_STEPS = 12
"""In an epoch: batches of few pictures are smaller, so that even a hundred pictures teach something."""

_LARGEST_BATCH = 64
_TUTORIAL_EPOCHS = 20
_TUTORIAL_BATCH = 32


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network by its name: what it reads where that is prescribed, and how it learns from scratch.

    `weights` is what it may begin with beside nothing: a download, or a file that `finder train` wrote; with
    these, or with a bundle's, it learns by `further`. `cell` is what its side has to be a multiple of;
    `fixed` says that it reads no other colour.
    """

    side: int | None
    colour: Colour | None
    hyperparameters: Hyperparameters
    weights: Literal["none", "imagenet", "finder"]
    further: Hyperparameters = FINE_TUNING_HYPERPARAMETERS
    cell: int = 1
    fixed: bool = False


ARCHITECTURES = {
    "small": Architecture(None, None, Hyperparameters(), "none"),
    "medium": Architecture(None, None, Hyperparameters(), "none"),
    "backbone": Architecture(
        192,
        "rgb",
        BACKBONE_HYPERPARAMETERS,
        "finder",
        BACKBONE_HYPERPARAMETERS,
        cell=COARSEST_STRIDE,
        fixed=True,
    ),
    "tutorial": Architecture(256, "rgb", TUTORIAL_HYPERPARAMETERS, "none", TUTORIAL_HYPERPARAMETERS),
    "mobilenet_v3_small": Architecture(160, "rgb", Hyperparameters(), "imagenet"),
    "efficientnet_v2_b0": Architecture(160, "rgb", Hyperparameters(), "imagenet"),
}


def choose_hyperparameters(network: str, *, knows_something: bool) -> Hyperparameters:
    """Return how to train a network, which may begin with weights that know something."""
    design = ARCHITECTURES[network]
    return design.further if knows_something else design.hyperparameters


def choose_input(network: str, side: int | None, colour: Colour | None, files: Sequence[Path]) -> InputSpec:
    """Return what the network reads: as told, else as its design says, else as the pictures are."""
    design = ARCHITECTURES[network]
    side = side or design.side
    colour = colour or design.colour
    if (design.fixed and colour != design.colour) or (side or 0) % design.cell:
        raise ConfigError(
            f"--network {network} reads --colour {design.colour}, and an --input-size that is a multiple of "
            f"{design.cell}"
        )
    if side is None or colour is None:
        natural = _infer_input(files)
        side, colour = side or natural.width, colour or natural.colour
    return InputSpec(side, side, colour, "stretch")


def choose_epochs(network: str, pictures: int) -> int:
    """Return how often to show so many training pictures: the fewer, the more often."""
    if network == "tutorial":
        return _TUTORIAL_EPOCHS
    return int(np.clip(round(_SHOWN_PICTURES / pictures), *_EPOCHS))


def choose_batch_size(network: str, pictures: int) -> int:
    """Return how many of so many training pictures to show at once."""
    largest = _TUTORIAL_BATCH if network == "tutorial" else _LARGEST_BATCH
    return min(largest, max(2, pictures // _FEWEST_STEPS))


def choose_patience(epochs: int) -> int:
    """Return how many epochs without progress end a training of so many."""
    return max(10, epochs // 3)


def _infer_input(files: Sequence[Path]) -> InputSpec:
    glanced = [
        files[place] for place in np.linspace(0, len(files) - 1, min(_GLANCED, len(files))).astype(int)
    ]
    sides, coloured = [], False
    for path in glanced:
        try:
            _, picture = read_image(path, max_pixels=_GLANCE_PIXELS, max_side=_SIDES[-1])
        except BadPhoto:  # told of when all are read
            continue
        sides.append(min(picture.width, picture.height))
        coloured = coloured or bool(np.ptp(picture.pixels, axis=2).any())
    typical = float(np.median(sides)) if sides else float(_SIDES[-1])
    side = next((side for side in _SIDES if side >= typical), _SIDES[-1])
    return InputSpec(side, side, "rgb" if coloured or not sides else "grey", "stretch")
