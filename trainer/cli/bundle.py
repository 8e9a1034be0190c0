"""The command `moodsort bundle`."""

from pathlib import Path

import click

from trainer.cli import format_command, require_libraries
from trainer.cli.messages import print_metrics, say
from worker.cli.options import config_option
from worker.config import load_config
from worker.fileio import silence_stderr


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--detector", required=True, type=click.Path(path_type=Path), help="What `detector train` wrote."
)
@click.option(
    "--face-classifier",
    "face_classifiers",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A bundle trained on faces. The logits of several are averaged.",
)
@click.option(
    "--scene-classifier",
    "scene_classifiers",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A bundle trained on whole pictures. The logits of several are averaged.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--force", is_flag=True, help="Replace a bundle that is at --out already.")
@click.option("--name", help="The bundle's name.  [default: the name of its folder]")
@click.option(
    "--max-faces",
    default=16,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many faces of a picture are classified at most, the largest first.",
)
@config_option
def bundle(
    data: tuple[Path, ...],
    detector: Path,
    face_classifiers: tuple[Path, ...],
    scene_classifiers: tuple[Path, ...],
    out: Path,
    force: bool,
    name: str | None,
    max_faces: int,
    config_file: Path | None,
) -> None:
    """Make one bundle of a face detector, face classifiers and scene classifiers.

    DATA is one or more folders that hold train, valid and test, as `dataset split` makes them, and as the
    networks were trained on. The weights of the fusion are fitted to valid; test, where there is one, is only
    measured.
    """
    require_libraries("bundle", ("scipy",))
    # Imported here: --help is not to wait for SciPy and LiteRT, and the former may be missing.
    from trainer.data.atomic_directory import check_bundle_output
    from trainer.detection.detector_folder import load_detector
    from trainer.pipelines.train_bundle import BundleConfig, train_bundle

    out = out.resolve()
    check_bundle_output(out, force=force)
    config = BundleConfig(
        data=data,
        detector=detector,
        face_classifiers=face_classifiers,
        scene_classifiers=scene_classifiers,
        out=out,
        name=name or out.name,
        max_faces=max_faces,
        max_pixels=load_config(config_file).limits.max_pixels,
        command=format_command(),
    )
    with silence_stderr():
        load_detector(detector)  # LiteRT logs a line on standard error for the first network of a process
    print_metrics(train_bundle(config, say).metrics)
