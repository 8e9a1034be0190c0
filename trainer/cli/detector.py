"""The commands `moodsort detector …`."""

from pathlib import Path

import click

from trainer.cli import format_command, require_libraries, require_training_libraries, start_tensorflow
from trainer.cli.messages import print_metrics
from worker.cli.options import config_option
from worker.config import load_config


@click.group()
def detector() -> None:
    """Train networks that detect faces."""


@detector.command()
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
    help="YuNet as an ONNX file, which annotates the faces in PHOTOS.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The detector's folder.")
@click.option(
    "--train-size",
    default=256,
    show_default=True,
    type=click.Choice(["192", "256", "320"]),
    help="Side in pixels of the square mosaics that it is trained on.",
)
@click.option(
    "--input-size",
    default=320,
    show_default=True,
    type=click.IntRange(64, 640),
    help="Side in pixels of the square that it reads when it is done, a multiple of 32: the larger, the "
    "smaller the faces that it detects.",
)
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(1), help="Passes over PHOTOS.")
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
    train_size: str,
    input_size: int,
    epochs: int,
    seed: int,
    threads: int,
    config_file: Path | None,
) -> None:
    """Train a network to detect faces, as a teacher does that is larger, slower, or not to be given away.

    PHOTOS is one or more folders that `dataset split` made: it is trained on their train split, measured on
    valid, and test is left alone.

    Interrupt it whenever you like: the same command goes on after the last whole epoch.
    """
    from trainer.models.architectures import COARSEST_STRIDE

    if input_size % COARSEST_STRIDE:
        raise click.BadParameter(
            f"{input_size} is no multiple of {COARSEST_STRIDE}", param_hint="--input-size"
        )
    require_training_libraries()
    require_libraries("detector train", ("cv2",), "detector")
    from trainer.data.atomic_directory import check_unused
    from trainer.detection.teacher import MAX_SIDE, Teacher

    out = out.resolve()
    check_unused(out)
    Teacher(teacher)  # what is wrong with it is said before TensorFlow starts, which takes seconds
    start_tensorflow()
    from trainer.cli.progress_bar import show_progress
    from trainer.pipelines.train_detector import DetectorConfig, train_detector

    config = DetectorConfig(
        photos=photos,
        faces=faces,
        teacher=teacher,
        out=out,
        train_size=int(train_size),
        input_size=input_size,
        epochs=epochs,
        seed=seed,
        threads=threads,
        max_side=MAX_SIDE,
        max_pixels=load_config(config_file).limits.max_pixels,
        command=format_command(),
    )
    with show_progress() as progress:
        manifest = train_detector(config, progress)
    print_metrics(manifest.metrics)
