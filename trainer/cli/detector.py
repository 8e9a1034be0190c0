"""The commands `moodsort finder …`."""

from pathlib import Path

import click

from trainer.cli import require_libraries, require_training_libraries, shown_command, start_tensorflow
from worker.cli import config_option
from worker.config import load_config


@click.group()
def finder() -> None:
    """Train networks that find faces."""


@finder.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--faces",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A folder of class folders with pictures that are one face each; may be given several times.",
)
@click.option(
    "--teacher",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YuNet as an ONNX file, which marks the faces in PHOTOS.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The finder's folder.")
@click.option(
    "--side",
    default=256,
    show_default=True,
    type=click.Choice(["192", "256", "320"]),
    help="Side in pixels of the square canvases that it learns from.",
)
@click.option(
    "--reads",
    default=320,
    show_default=True,
    type=click.IntRange(64, 640),
    help="Side in pixels of the square that it reads when it is done, a multiple of 32: the larger, the "
    "smaller the faces that it finds.",
)
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(1))
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of every random draw."
)
@click.option(
    "--threads", default=0, show_default=True, type=click.IntRange(0, 256), help="0 is one for each core."
)
@config_option
def train(
    photos: tuple[Path, ...],
    faces: tuple[Path, ...],
    teacher: Path,
    out: Path,
    side: str,
    reads: int,
    epochs: int,
    seed: int,
    threads: int,
    config_file: Path | None,
) -> None:
    """Train a network that finds faces, as a teacher does that is larger, slower, or not to be given away.

    PHOTOS is one or more folders that `dataset split` made: their train part is learnt from, valid measures,
    and test is left alone.

    Interrupt it whenever you like: the same command goes on after the last whole epoch.
    """
    from trainer.detection.detector_folder import COARSEST

    if reads % COARSEST:
        raise click.BadParameter(f"{reads} is no multiple of {COARSEST}", param_hint="--reads")
    require_training_libraries()
    require_libraries("finder train", ("cv2",), "finder")
    from trainer.data.atomic_directory import check_free
    from trainer.detection.teacher import WORKING_SIDE, Teacher

    out = out.resolve()
    check_free(out)
    Teacher(teacher)  # what is wrong with it is told before TensorFlow starts, which takes seconds
    start_tensorflow()
    from trainer.cli.progress_bar import shown_progress
    from trainer.evaluation.metrics import shown_interval, shown_value
    from trainer.pipelines.train_detector import FinderOrder, build_finder

    order = FinderOrder(
        photos=photos,
        faces=faces,
        teacher=teacher,
        out=out,
        side=int(side),
        reads=reads,
        epochs=epochs,
        seed=seed,
        threads=threads,
        working_side=WORKING_SIDE,
        max_pixels=load_config(config_file).limits.max_pixels,
        command=shown_command(),
    )
    with shown_progress() as progress:
        manifest = build_finder(order, progress)
    for metric in manifest.metrics:
        click.echo(
            f"{metric.name}: {shown_value(metric, metric.value)} ({shown_interval(metric)}), "
            f"{metric.pictures} of the {metric.test_set}"
        )
