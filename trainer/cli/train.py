"""The command `moodsort train`."""

import time
from pathlib import Path
from typing import Any

import click

from trainer.cli import format_command, require_training_libraries, start_tensorflow
from trainer.cli.durations import Duration
from trainer.cli.messages import print_metrics
from worker.cli.options import config_option
from worker.config import load_config

_NETWORKS = ("small", "medium", "backbone", "tutorial", "mobilenet_v3_small", "efficientnet_v2_b0")
"""The keys of `trainer.models.architectures.ARCHITECTURES`, here so that --help waits for no import."""

_PRINTED_METRICS = ("accuracy", "precision", "recall")
"""The report has the others."""


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--force", is_flag=True, help="Replace a bundle that is at --out already.")
@click.option("--name", help="The bundle's name.  [default: the name of its folder]")
@click.option(
    "--network",
    default="small",
    show_default=True,
    type=click.Choice(_NETWORKS),
    help="small, medium and backbone, a detector's, are moodsort's own; tutorial is for comparison; the "
    "others are from keras.applications.",
)
@click.option(
    "--weights",
    help="The weights to begin with. For a network of keras.applications: imagenet (downloaded once), none, "
    "or a file; for backbone: none, or the detector.keras that `detector train` wrote.  [default: imagenet, "
    "and none]",
)
@click.option(
    "--start-from",
    type=click.Path(path_type=Path),
    help="A bundle with model.keras, to be trained further on DATA.",
)
@click.option("--new-head", is_flag=True, help="With --start-from: DATA may have other classes.")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Passes over the training pictures, at most.  [default: 24 to 200, by their number]",
)
@click.option(
    "--time-budget",
    type=Duration(),
    help="Finish within this time, as 90s, 20m or 1h30m: reading, training, conversion and report together. "
    "At least one step is trained.  [default: none]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop after this many epochs without progress.  [default: a third of the epochs, 10 or more]",
)
@click.option(
    "--input-size",
    type=click.IntRange(32, 512),
    help="Side in pixels of the square that the network reads.  [default: 32 to 96, by the pictures]",
)
@click.option(
    "--colour",
    type=click.Choice(["rgb", "grey"]),
    help="What the network reads.  [default: grey where no picture has colour]",
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of every random draw."
)
@click.option(
    "--threads",
    default=0,
    show_default=True,
    type=click.IntRange(0, 256),
    help="0 is one for each core; with 1 the same seed and data give the same weights.",
)
@click.option(
    "--allow-leakage", is_flag=True, help="Train even if given test pictures have near-duplicates in train."
)
@click.option("--fresh", is_flag=True, help="Start over, whatever an interrupted run has left.")
@click.option(
    "--margin",
    "margin_points",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="Points of accuracy that a smaller conversion of the network may lose; the smallest within is kept.",
)
@click.option("--no-keras", is_flag=True, help="Leave model.keras out; the bundle cannot be trained further.")
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Choice(["onnx", "saved_model"]),
    help="Write this too, for other programs; may be given twice.",
)
@click.option(
    "--no-pictures", is_flag=True, help="Show no picture of DATA in the report: for bundles to give away."
)
@click.option(
    "--tensorboard",
    is_flag=False,
    flag_value="",
    metavar="[FOLDER]",
    help="Write event files for TensorBoard.  [default folder: OUT.tensorboard]",
)
@config_option
def train(config_file: Path | None, **options: Any) -> None:
    """Train a classifier on folders of pictures and write a bundle.

    DATA is one or more folders that hold one folder for each class; folders of the same name are one class.
    Where a folder holds train, valid and test instead, each with its class folders, these splits are used as
    they are; else near-duplicates stay together, and a tenth is held out for validation and a tenth for the
    test.

    Interrupt it whenever you like: the same command resumes after the last complete epoch.
    """
    started = time.monotonic()  # before TensorFlow starts: a time budget is for the whole command
    require_training_libraries()
    # Imported here: --help waits for none of it, and wrong options are refused before TensorFlow starts.
    from trainer.pipelines.training_options import TrainingOptions, complete_options

    max_pixels = load_config(config_file).limits.max_pixels
    config = complete_options(TrainingOptions(**options), max_pixels, format_command())
    start_tensorflow()
    from trainer.cli.progress_bar import show_progress
    from trainer.pipelines.train_classifier import train_classifier

    with show_progress() as progress:
        manifest = train_classifier(config, progress, started)
    print_metrics(metric for metric in manifest.metrics if metric.name in _PRINTED_METRICS)
