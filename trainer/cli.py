"""The command `moodsort train`."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from worker.bundle import InputSpec
from worker.errors import ConfigError

if TYPE_CHECKING:
    from trainer.build import Progress
    from trainer.training import Epoch
    from worker.bundle import Metric

_LIBRARIES = ("tensorflow", "keras", "scipy")


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--name", default=None, help="The bundle's name.  [default: the name of its folder]")
@click.option(
    "--epochs", default=40, show_default=True, type=click.IntRange(1), help="Passes over the pictures."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of every random draw."
)
@click.option(
    "--input-size",
    default=96,
    show_default=True,
    type=click.IntRange(16, 512),
    help="Side in pixels of what the network reads.",
)
@click.option(
    "--colour", default="rgb", show_default=True, type=click.Choice(["rgb", "grey"]), help="What it reads."
)
@click.option("--keep-keras", is_flag=True, help="Keep model.keras in the bundle, to train it further.")
def train(
    data: tuple[Path, ...],
    out: Path,
    name: str | None,
    epochs: int,
    seed: int,
    input_size: int,
    colour: Literal["rgb", "grey"],
    keep_keras: bool,
) -> None:
    """Train a network on folders of pictures and write a bundle.

    DATA is one or more folders that hold one folder for each class; folders of the same name are one class.
    """
    _require_training_libraries()
    from trainer.dataset import find_classes
    from trainer.publication import check_place
    from trainer.recipe import Recipe

    out = out.resolve()
    # Before TensorFlow, which takes seconds to start and fills the screen.
    check_place(out)
    find_classes(data)
    from trainer.build import build_bundle

    recipe = Recipe(
        folders=data,
        out=out,
        name=name or out.name,
        input=InputSpec(input_size, input_size, colour, "stretch"),
        command=_shown_command(sys.argv[1:]),
        seed=seed,
        epochs=epochs,
        keep_keras=keep_keras,
    )
    manifest = build_bundle(recipe, _progress(epochs))
    for metric in manifest.metrics:
        click.echo(_shown_metric(metric))


def _require_training_libraries() -> None:
    # TensorFlow reads this when it is imported; its start-up notes are no news to who trains.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"training needs {', '.join(missing)}, not installed: pip install 'moodsort[train]'"
        )


def _shown_command(arguments: Sequence[str]) -> str:
    """Return the call for the manifest, less the folders above the named ones: nobody's business."""
    return shlex.join(["moodsort", *(_shown_argument(argument) for argument in arguments)])


def _shown_argument(argument: str) -> str:
    path = Path(argument)
    return path.name if path.is_absolute() else argument


def _progress(epochs: int) -> "Progress":
    from rich.console import Console

    from trainer.build import Progress

    console = Console(highlight=False, soft_wrap=True, markup=False)

    def on_epoch(epoch: "Epoch") -> None:
        console.print(
            f"epoch {epoch.number}/{epochs}: loss {epoch.loss:.4f}, "
            f"validation accuracy {epoch.accuracy:.1%}, mean recall {epoch.recall:.1%}, {epoch.seconds:.0f} s"
        )

    return Progress(console.print, on_epoch)


def _shown_metric(metric: "Metric") -> str:
    of = f" of {metric.label}" if metric.label is not None else ""
    return (
        f"{metric.name}{of}: {metric.value:.1%} ({metric.low:.1%} to {metric.high:.1%}), "
        f"{metric.pictures} pictures of the {metric.test_set}"
    )
