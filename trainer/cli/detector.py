"""The commands `moodsort detector …`."""

from pathlib import Path
from typing import Any

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
    type=click.Choice([192, 256, 320]),
    help="Side in pixels of the square mosaics that it is trained on.",
)
@click.option(
    "--input-size",
    default=320,
    show_default=True,
    type=click.IntRange(64, 640),
    help="Side in pixels of the square that it reads when it is done, a multiple of 32: a larger one detects "
    "smaller faces.",
)
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(1), help="Passes over PHOTOS.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of every random draw."
)
@click.option(
    "--threads", default=0, show_default=True, type=click.IntRange(0, 256), help="0 is one for each core."
)
@config_option
def train(out: Path, teacher: Path, input_size: int, config_file: Path | None, **options: Any) -> None:
    """Train a network to detect faces as a teacher does that is larger, slower, or may not be given away.

    PHOTOS is one or more folders that `dataset split` made: it is trained on their train split and measured
    on valid; test is not read.

    Interrupt it whenever you like: the same command resumes after the last complete epoch.
    """
    require_training_libraries()
    require_libraries("detector train", ("cv2",), "detector")
    # Imported here: --help waits for none of it, and wrong options are refused before TensorFlow starts.
    from trainer.data.atomic_directory import check_unused
    from trainer.detection.teacher import MAX_SIDE, Teacher
    from trainer.models.architectures import check_detector_input

    check_detector_input(input_size)
    out = out.resolve()
    check_unused(out)
    Teacher(teacher)  # whether it can be loaded
    start_tensorflow()
    from trainer.cli.progress_bar import show_progress
    from trainer.pipelines.train_detector import DetectorConfig, train_detector

    config = DetectorConfig(
        out=out,
        teacher=teacher,
        input_size=input_size,
        max_side=MAX_SIDE,
        max_pixels=load_config(config_file).limits.max_pixels,
        command=format_command(),
        **options,
    )
    with show_progress() as progress:
        manifest = train_detector(config, progress)
    print_metrics(manifest.metrics)
