"""The command `moodsort dataset faces`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import require_libraries
from trainer.cli.messages import REPORTER, say
from trainer.cli.shares import Share
from trainer.data.class_folders import Split
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import load_config
from worker.paths import format_path

if TYPE_CHECKING:
    from trainer.data.face_crops import CropResult
    from trainer.pipelines.crop_faces import CropSummary

_COLUMNS = ("class", "split", "photos", "with_faces", "whole", "faces", "filtered")

_MIN_PROBABILITY = 0.2


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--detector",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder that `detector train` wrote, or its teacher's ONNX file.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option(
    "--min-size",
    default=16,
    show_default=True,
    type=click.IntRange(2, 4096),
    help="Leave out faces whose longer side is shorter, in pixels of the picture that the detector reads.",
)
@click.option(
    "--max-faces",
    default=8,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Crop at most this many faces of each photo, the largest.",
)
@click.option(
    "--whole-pictures",
    is_flag=True,
    help="Take pictures up to 96 pixels whole where no face is detected in them.",
)
@click.option(
    "--filter-with",
    metavar="BUNDLE",
    type=click.Path(path_type=Path),
    help="A bundle of one face classifier: leave out the training faces that it takes for another class's.",
)
@click.option(
    "--min-probability",
    type=Share(),
    help="With --filter-with: the probability that it has to give to a face's folder.  "
    f"[default: {_MIN_PROBABILITY:.0%}]",
)
@click.option("--filter-all-splits", is_flag=True, help="With --filter-with: in valid and test, too.")
@config_option
@format_option
def faces(
    data: tuple[Path, ...],
    detector: Path,
    out: Path,
    min_size: int,
    max_faces: int,
    whole_pictures: bool,
    filter_with: Path | None,
    min_probability: float | None,
    filter_all_splits: bool,
    config_file: Path | None,
    output_format: str,
) -> None:
    """Crop the faces of photos, to train a face classifier on.

    DATA is one or more folders that hold one folder for each class, split into train, valid and test by
    `dataset split`: each photo's faces stay in its split. OUT gets the same folders, with a PNG for each
    face, just as the worker crops it, reduced to 96 pixels at most.
    """
    if filter_with is None and (min_probability is not None or filter_all_splits):
        raise click.UsageError("--min-probability and --filter-all-splits go with --filter-with")
    if detector.suffix == ".onnx":
        require_libraries("a teacher", ("cv2",), "detector")
    # LiteRT, which it imports, takes long to load; the other commands do without it.
    from trainer.pipelines.crop_faces import CropConfig, crop_faces

    config = CropConfig(
        data=data,
        detector=detector,
        out=out,
        min_size=min_size,
        max_faces=max_faces,
        whole_pictures=whole_pictures,
        filter_bundle=filter_with,
        min_probability=_MIN_PROBABILITY if min_probability is None else min_probability,
        filter_all_splits=filter_all_splits,
        max_pixels=load_config(config_file).limits.max_pixels,
    )
    summary = crop_faces(config, REPORTER)
    print_rows(_make_rows(summary.photos), _COLUMNS, output_format, _COLUMNS)
    say(f"wrote {format_path(out)}: {_summarize(summary)}")


def _summarize(summary: "CropSummary") -> str:
    photos = summary.photos
    return (
        f"{sum(photo.written for photo in photos)} faces of {len(photos)} photos, "
        f"{sum(photo.detected > 0 for photo in photos)} of which show any; "
        f"{sum(photo.filtered for photo in photos)} faces left out as likely wrong labels, "
        f"{summary.unreadable} files as unreadable"
    )


def _make_rows(photos: "Sequence[CropResult]") -> Iterator[Row]:
    """Count the photos of each class and split; None is for those that are not split."""
    for label in dict.fromkeys(photo.file.label for photo in photos):
        for split in (*Split, None):
            group = [photo for photo in photos if (photo.file.label, photo.file.split) == (label, split)]
            if group:
                yield {
                    "class": label,
                    "split": split,
                    "photos": len(group),
                    "with_faces": sum(photo.detected > 0 for photo in group),
                    "whole": sum(photo.whole for photo in group),
                    "faces": sum(photo.written for photo in group),
                    "filtered": sum(photo.filtered for photo in group),
                }
