"""The command `moodsort train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainer.cli import format_command, require_training_libraries, start_tensorflow
from trainer.cli.durations import Duration
from worker.cli.options import config_option
from worker.config import load_config
from worker.errors import ConfigError

if TYPE_CHECKING:
    from trainer.training.configuration import TrainingConfig

_NETWORKS = ("small", "medium", "backbone", "tutorial", "mobilenet_v3_small", "efficientnet_v2_b0")
"""The keys of `trainer.models.architectures.NETWORKS`, here so that --help waits for nothing."""

_TOLD = ("accuracy", "precision", "recall")
"""The figures that are printed; the report has the others."""


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--name", help="The bundle's name.  [default: the name of its folder]")
@click.option(
    "--network",
    default="small",
    show_default=True,
    type=click.Choice(_NETWORKS),
    help="small, medium and trunk, a finder's, are moodsort's own; tutorial is for comparison; the others "
    "are from keras.applications.",
)
@click.option(
    "--weights",
    help="What a network of keras.applications begins with: imagenet (downloaded once), none, or a file; and "
    "trunk: none, or the finder.keras that `finder train` wrote.  [default: imagenet, and none]",
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
    "--time-budget", type=Duration(), help="Be done after this long, as 90s, 20m or 1h30m.  [default: none]"
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop after so many epochs without progress.  [default: a third of the epochs, 10 or more]",
)
@click.option(
    "--input-size",
    type=click.IntRange(32, 512),
    help="Side in pixels of what the network reads.  [default: 32 to 96, by the pictures]",
)
@click.option(
    "--colour",
    type=click.Choice(["rgb", "grey"]),
    help="What it reads.  [default: grey where no picture has colour]",
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
    "--allow-leakage", is_flag=True, help="Train even if given test pictures have near-twins in train."
)
@click.option("--fresh", is_flag=True, help="Begin anew, whatever an interrupted run has left.")
@click.option(
    "--margin",
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
def train(**options: Any) -> None:
    """Train a network on folders of pictures and write a bundle.

    DATA is one or more folders that hold one folder for each class; folders of the same name are one class.
    Where a folder holds train, valid and test instead, each with its class folders, these are kept apart as
    given; else near-duplicates stay together, and a tenth is held out to choose by and a tenth to test with.

    Interrupt it whenever you like: the same command goes on after the last whole epoch.
    """
    require_training_libraries()
    recipe = _recipe(**options)
    start_tensorflow()
    from trainer.cli.progress_bar import show_progress
    from trainer.evaluation.metrics import format_value
    from trainer.pipelines.train_classifier import train_classifier

    with show_progress() as progress:
        manifest = train_classifier(recipe, progress)
    for metric in manifest.metrics:
        if metric.name not in _TOLD:
            continue
        of = f" of {metric.label}" if metric.label is not None else ""
        low, high = format_value(metric, metric.low), format_value(metric, metric.high)
        click.echo(
            f"{metric.name}{of}: {format_value(metric, metric.value)} ({low} to {high}), "
            f"{metric.pictures} pictures of the {metric.test_set}"
        )


def _recipe(
    *, data: tuple[Path, ...], out: Path, name: str | None, network: str, input_size: int | None, **rest: Any
) -> "TrainingConfig":
    """Check what can be checked before TensorFlow, which takes seconds to start, and fill in the rest."""
    from trainer.data.atomic_directory import check_output
    from trainer.data.class_folders import find_classes
    from trainer.export.interchange import check_exports
    from trainer.models.architectures import choose_hyperparameters, choose_input
    from trainer.training.configuration import TrainingConfig

    out = out.resolve()
    check_output(out)
    check_exports(rest["exports"])
    found = find_classes(data)
    files = [file.path for name in found for file in found[name]]
    start, weights = rest["start_from"], _weights(network, rest["weights"], rest["start_from"])
    if start is not None:
        spec = _start_input(start, tuple(found), new_head=rest["new_head"])
    elif rest["new_head"]:
        raise ConfigError("--new-head goes with --start-from")
    else:
        spec = choose_input(network, input_size, rest["colour"], files)
    keep = ("start_from", "new_head", "epochs", "patience", "seed", "threads", "fresh", "exports")
    settings = {key: rest[key] for key in keep}
    if rest["allow_leakage"]:
        settings["leakage_limit"] = 1.0
    return TrainingConfig(
        max_pixels=load_config(rest["config_file"]).limits.max_pixels,
        folders=data,
        out=out,
        name=name or out.name,
        input=spec,
        command=format_command(),
        network=network,
        weights=weights,
        hyperparameters=choose_hyperparameters(
            network,
            knows_something=start is not None or weights != "none",
        ),
        time_budget_seconds=rest["time_budget"],
        tensorboard=_board(rest["tensorboard"], out),
        margin=rest["margin"] / 100,
        keep_keras=not rest["no_keras"],
        pictures=not rest["no_pictures"],
        **settings,
    )


def _weights(network: str, weights: str | None, start: Path | None) -> str:
    from trainer.models.architectures import ARCHITECTURES, IMAGENET, NO_WEIGHTS

    design = ARCHITECTURES[network]
    if weights is None:
        return IMAGENET if design.weights == IMAGENET and start is None else NO_WEIGHTS
    if start is not None:
        raise ConfigError("--weights and --start-from both say what to begin with; give one of them")
    if weights != NO_WEIGHTS and design.weights == NO_WEIGHTS:
        raise ConfigError(f"--weights {weights}: the network {network} has none; it is trained from nothing")
    others = (IMAGENET, NO_WEIGHTS) if design.weights == IMAGENET else (NO_WEIGHTS,)
    if weights not in others and not Path(weights).is_file():
        raise ConfigError(f"--weights {weights}: is no file; give {', '.join(others)} or the file's path")
    return weights


def _start_input(start: Path, classes: tuple[str, ...], *, new_head: bool) -> Any:
    from worker.inference.bundle import load_bundle

    manifest = load_bundle(start).manifest
    if manifest.classes != classes and not new_head:
        raise ConfigError(
            f"{start}: its classes are {', '.join(manifest.classes)}, DATA's are {', '.join(classes)}; "
            "--new-head replaces its last layer"
        )
    if manifest.detection is not None:
        raise ConfigError(
            f"{start}: is made of several networks, of which none is trained further alone; "
            "name a bundle that finds no faces"
        )
    if not (start / "model.keras").is_file():
        raise ConfigError(f"{start}: has no model.keras to be trained further; train it without --no-keras")
    return manifest.networks[-1].input


def _board(given: str | None, out: Path) -> Path | None:
    if given is None:
        return None
    return Path(given) if given else out.with_name(f"{out.name}.tensorboard")
