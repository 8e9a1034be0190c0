"""Say how a bundle is to be trained: every number that a person may want to change, in one place."""

from dataclasses import dataclass
from pathlib import Path

from trainer.data.splits import LEAKAGE_LIMIT
from worker.inference.bundle import InputSpec


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How a network learns.

    `peak_rate` is AdamW's learning rate after the warm-up, `warm_up` the share of all steps in which it
    rises to that, `final_rate` the share of it that is left at the end of the cosine; 1 keeps it constant.
    `largest_gradient` is the norm to which gradients are clipped, None does not. `compute_ema_decay` is that of
    the moving average of the weights, which is what is judged and kept; 0 keeps the weights themselves.
    `class_balance` is the power of the inverse share by which each class is weighted: 1 makes all matter
    alike, 0 counts every picture alike. `nothing_share` is how many pictures of nothing are shown beside each
    batch, as a share of it, and `upside_down_share` how many of the batch's own upside down: for these no
    class is right (Hendrycks et al. 2019, "Outlier exposure").
    """

    peak_rate: float = 2e-3
    warm_up: float = 0.06
    final_rate: float = 0.01
    weight_decay: float = 0.02
    largest_gradient: float | None = 5.0
    label_smoothing: float = 0.1
    average_decay: float = 0.998
    class_balance: float = 1.0
    nothing_share: float = 0.03
    upside_down_share: float = 0.03
    augmented: bool = True


TUTORIAL_HYPERPARAMETERS = Hyperparameters(
    peak_rate=1e-3,
    warm_up=0.0,
    final_rate=1.0,
    weight_decay=0.0,
    largest_gradient=None,
    label_smoothing=0.0,
    average_decay=0.0,
    class_balance=0.0,
    nothing_share=0.0,
    upside_down_share=0.0,
    augmented=False,
)
"""Keras' own Adam and nothing beside it, as in the tutorials."""

BACKBONE_HYPERPARAMETERS = Hyperparameters(peak_rate=1e-3, weight_decay=0.05, average_decay=0.995)
"""For a finder's trunk, which knows faces and has to learn the rest."""

FINE_TUNING_HYPERPARAMETERS = Hyperparameters(peak_rate=5e-4, weight_decay=0.005)
"""For a network that already knows something: smaller steps, so that it keeps it."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What to train on, how, and where the bundle goes.

    `network` is a key of `ARCHITECTURES`; `weights` is "none", "imagenet" or a file for the
    networks of keras.applications, "none" or a finder's Keras file for its trunk. `start_from` is a bundle
    with model.keras to be trained further; `new_head` gives it other classes. `epochs`, `batch_size` and
    `patience` None are chosen by the number of pictures. `time_budget_seconds` is for everything from the
    first file read to the bundle. `threads` 0 is one for each core. `fresh` ignores what an interrupted
    training left. `tensorboard` is the folder of its event files. `max_side` and `max_pixels` are what
    the reader of pictures takes. `held_out` is the share of each class that goes to validation, and again
    to the test; `leakage_limit` the share of one given part that may have near-duplicates in another.
    `margin` is how much accuracy a smaller export may lose, `exports` what is written beside it for others.
    `command` is what the manifest keeps of how it was called. `pictures` says whether the report may show
    pictures of the data.
    """

    folders: tuple[Path, ...]
    out: Path
    name: str
    input: InputSpec
    command: str
    network: str = "small"
    weights: str = "none"
    start_from: Path | None = None
    new_head: bool = False
    hyperparameters: Hyperparameters = Hyperparameters()
    seed: int = 0
    epochs: int | None = None
    batch_size: int | None = None
    patience: int | None = None
    time_budget_seconds: float | None = None
    threads: int = 0
    fresh: bool = False
    tensorboard: Path | None = None
    held_out: float = 0.1
    leakage_limit: float = LEAKAGE_LIMIT
    margin: float = 0.005
    keep_keras: bool = True
    pictures: bool = True
    exports: tuple[str, ...] = ()
    max_side: int = 320
    max_pixels: int = 250_000_000
