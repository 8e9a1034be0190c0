"""The command `moodsort compose`."""

from pathlib import Path

import click

from trainer.cli import require_libraries, shown_command
from trainer.cli.messages import say, unheard
from worker.cli import config_option
from worker.config import load_config


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--finder", required=True, type=click.Path(path_type=Path), help="What `finder train` wrote.")
@click.option(
    "--face",
    "faces",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A bundle trained on faces; what several say is averaged.",
)
@click.option(
    "--whole",
    "wholes",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A bundle trained on whole pictures; what several say is averaged.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--name", help="The bundle's name.  [default: the name of its folder]")
@click.option(
    "--most",
    default=16,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Read the largest faces of a picture, at most so many.",
)
@config_option
def compose(
    data: tuple[Path, ...],
    finder: Path,
    faces: tuple[Path, ...],
    wholes: tuple[Path, ...],
    out: Path,
    name: str | None,
    most: int,
    config_file: Path | None,
) -> None:
    """Make one bundle of a finder of faces, a reader of faces and a reader of whole pictures.

    DATA is one or more folders that hold train, valid and test, as `dataset split` makes them, and as the
    parts were trained on. What each part counts is fitted to valid; test, where there is one, is only
    measured.
    """
    require_libraries("compose", ("scipy",))
    from trainer.data.atomic_directory import check_place
    from trainer.detection.detector_folder import load_finder
    from trainer.evaluation.metrics import shown_interval, shown_value
    from trainer.pipelines.train_bundle import Order
    from trainer.pipelines.train_bundle import compose as composed

    out = out.resolve()
    check_place(out)
    order = Order(
        data=data,
        finder=finder,
        faces=faces,
        wholes=wholes,
        out=out,
        name=name or out.name,
        most=most,
        max_pixels=load_config(config_file).limits.max_pixels,
        command=shown_command(),
    )
    with unheard():
        load_finder(finder)  # the first network of the process, of which LiteRT tells
    manifest = composed(order, say)
    for metric in manifest.metrics:
        of = f" of {metric.label}" if metric.label is not None else ""
        click.echo(
            f"{metric.name}{of}: {shown_value(metric, metric.value)} ({shown_interval(metric)}), "
            f"{metric.pictures} of the {metric.test_set}"
        )
