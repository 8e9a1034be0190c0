"""The command `moodsort dataset faces`."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import require_libraries
from trainer.cli.messages import say, show_bar
from trainer.cli.shares import Share
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import load_config
from worker.errors import ConfigError
from worker.fileio import silence_stderr
from worker.paths import format_path

if TYPE_CHECKING:
    from trainer.data.class_folders import ClassFile
    from trainer.data.face_crops import CropOptions, CropResult, CropTools, FaceClassifier
    from worker.inference.bundle import Bundle

_COLUMNS = ("class", "part", "photos", "with_faces", "whole", "faces", "doubted")

_LEAST = 0.2


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--finder",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder that `finder train` wrote, or its teacher's ONNX file.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option(
    "--smallest",
    default=16,
    show_default=True,
    type=click.IntRange(2, 4096),
    help="Leave out faces with a smaller side than this, in pixels of the picture that the finder looks at.",
)
@click.option(
    "--most",
    default=8,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Take the largest faces of each photo, at most so many.",
)
@click.option(
    "--or-whole", is_flag=True, help="Take pictures up to 96 pixels whole where no face is found in them."
)
@click.option(
    "--agree",
    type=click.Path(path_type=Path),
    help="A bundle that reads faces: leave out the training faces that it takes for another class's.",
)
@click.option(
    "--least",
    type=Share(),
    help=f"With --agree: the chance that it has to give to a face's folder.  [default: {_LEAST:.0%}]",
)
@click.option("--agree-everywhere", is_flag=True, help="With --agree: in valid and test, too.")
@config_option
@format_option
def faces(
    data: tuple[Path, ...],
    finder: Path,
    out: Path,
    smallest: int,
    most: int,
    or_whole: bool,
    agree: Path | None,
    least: float | None,
    agree_everywhere: bool,
    config_file: Path | None,
    output_format: str,
) -> None:
    """Cut the faces out of photos, to train a reader of faces on.

    DATA is one or more folders that hold one folder for each class, divided into train, valid and test by
    `dataset split`: each photo's faces stay in its part. OUT gets the same folders, with a PNG for each face,
    just as the worker cuts it out, reduced to 96 pixels at most.
    """
    from trainer.data.atomic_directory import check_unused
    from trainer.data.class_folders import find_classes
    from trainer.data.destinations import check_outside

    if agree is None and (least is not None or agree_everywhere):
        raise click.UsageError("--least and --agree-everywhere go with --agree")
    check_unused(out)
    check_outside(out, data)
    found = find_classes(data)
    tools = _tools(finder, agree, tuple(found))
    files = [file for each in found.values() for file in each]
    _warn_of_undivided(files)
    choice = _choice(smallest, most, or_whole, _LEAST if least is None else least, agree_everywhere)
    cuts = _cut(files, data, out, tools, choice, load_config(config_file).limits.max_pixels)
    print_rows(_rows(cuts), _COLUMNS, output_format, _COLUMNS)
    say(
        f"wrote {format_path(out)}: {sum(each.written for each in cuts)} faces of {len(cuts)} photos, "
        f"{sum(each.found > 0 for each in cuts)} of which show any; "
        f"{sum(each.doubted for each in cuts)} faces left out as likely wrong labels, "
        f"{len(files) - len(cuts)} files as unreadable"
    )


def _tools(finder: Path, agree: Path | None, classes: tuple[str, ...]) -> "CropTools":
    from trainer.data.face_crops import CropTools
    from trainer.detection.detector_folder import load_detector

    reader = None if agree is None else _reader(agree, classes)
    if finder.suffix == ".onnx":
        require_libraries("a teacher", ("cv2",), "detector")
        from trainer.detection.teacher import Teacher

        Teacher(finder)
        return CropTools(partial(Teacher, finder), reader)
    if not (finder / "detector.json").is_file():
        raise ConfigError(f"{format_path(finder)}: is no finder; make one by `moodsort finder train`")
    with silence_stderr():
        load_detector(finder)  # what is wrong with it is told before anything is read
    return CropTools(partial(load_detector, finder), reader)


def _reader(folder: Path, classes: tuple[str, ...]) -> "Callable[[], FaceClassifier]":
    from worker.inference.bundle import load_bundle
    from worker.inference.predictor import Predictor

    bundle = load_bundle(folder)
    _check_reader(bundle, classes)
    return partial(Predictor, bundle)


def _check_reader(bundle: "Bundle", classes: tuple[str, ...]) -> None:
    manifest = bundle.manifest
    if manifest.detection is not None:
        raise ConfigError(
            f"{format_path(bundle.folder)}: finds faces itself; --agree takes one that reads a face"
        )
    if missing := sorted(set(classes).difference(manifest.classes)):
        raise ConfigError(
            f"{format_path(bundle.folder)}: knows {', '.join(manifest.classes)}, not DATA's class "
            f"{', '.join(missing)}; give --agree a bundle that knows it"
        )


def _warn_of_undivided(files: "Sequence[ClassFile]") -> None:
    undivided = dict.fromkeys(format_path(file.data) for file in files if file.split is None)
    if undivided:
        say(
            f"warning: {', '.join(undivided)}: not divided; training may learn from one face of a photo and "
            "be tested with another, so divide it first, by `moodsort dataset split`"
        )


def _choice(smallest: int, most: int, wholes: bool, least: float, everywhere: bool) -> "CropOptions":
    from trainer.data.class_folders import Split
    from trainer.data.face_crops import CropOptions

    doubted = frozenset((None, *Split)) if everywhere else frozenset((None, Split.TRAIN))
    return CropOptions(smallest, most, wholes, least, doubted)


def _cut(
    files: "list[ClassFile]",
    data: tuple[Path, ...],
    out: Path,
    tools: "CropTools",
    choice: "CropOptions",
    max_pixels: int,
) -> "list[CropResult]":
    from trainer.data.atomic_directory import prepare_directory
    from trainer.data.dataset import UnreadableFile
    from trainer.data.face_crops import crop_faces

    cuts = []
    with prepare_directory(out) as draft:
        with show_bar("cutting", len(files)) as on_file:
            for outcome in crop_faces(files, data, draft, tools, choice, max_pixels):
                on_file()
                if isinstance(outcome, UnreadableFile):
                    say(f"left out {format_path(outcome.path)}: {outcome.detail}")
                else:
                    cuts.append(outcome)
        if not any(each.written for each in cuts):
            named = ", ".join(map(format_path, data))
            raise ConfigError(f"{named}: no face to cut out of {len(cuts)} pictures; {_REMEDY}")
    return cuts


_REMEDY = "name photos of people, or give a smaller --smallest, or --or-whole for pictures that are faces"


def _rows(cuts: "Sequence[CropResult]") -> Iterator[Row]:
    from trainer.data.class_folders import Split

    for label in dict.fromkeys(each.file.label for each in cuts):
        for part in (*Split, None):
            own = [each for each in cuts if (each.file.label, each.file.split) == (label, part)]
            if own:
                yield {
                    "class": label,
                    "part": part,
                    "photos": len(own),
                    "with_faces": sum(each.found > 0 for each in own),
                    "whole": sum(each.wholes for each in own),
                    "faces": sum(each.written for each in own),
                    "doubted": sum(each.doubted for each in own),
                }
