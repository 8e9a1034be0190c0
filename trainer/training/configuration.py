"""How a classifier is trained and exported: every choice that a person may make, in one place."""

from dataclasses import dataclass, field
from pathlib import Path

from trainer.data.splits import LEAKAGE_LIMIT
from trainer.training.hyperparameters import Hyperparameters
from worker.inference.manifest import InputSpec


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What to train on, how, and where the bundle goes.

    `network` is a key of `ARCHITECTURES`; `weights` is "none", "imagenet" or a file for the networks of
    keras.applications, "none" or a detector's Keras file for its backbone. `start_from` is a bundle with
    model.keras to be trained further; `new_head` gives it other classes. `epochs`, `batch_size` and
    `patience` None are chosen by the number of pictures. `time_budget_seconds` is for the whole command, from
    its start to the bundle. `threads` 0 is one for each core. `fresh` ignores what an interrupted training
    left. `tensorboard` is the folder of its event files. `max_side` and `max_pixels` are limits of
    decoding. `hold_out_share` is the share of each class that goes to validation, and again to the test;
    `leakage_limit` the share of a given split that may have near-duplicates in another. `margin` is how much
    accuracy a smaller export may lose, `exports` what is written beside it for others. `command` is what the
    manifest keeps of how it was called. `pictures` says whether the report may show pictures of the data.
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
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    seed: int = 0
    epochs: int | None = None
    batch_size: int | None = None
    patience: int | None = None
    time_budget_seconds: float | None = None
    threads: int = 0
    fresh: bool = False
    tensorboard: Path | None = None
    hold_out_share: float = 0.1
    leakage_limit: float = LEAKAGE_LIMIT
    margin: float = 0.005
    keep_keras: bool = True
    pictures: bool = True
    exports: tuple[str, ...] = ()
    max_side: int = 320
    max_pixels: int = 250_000_000
