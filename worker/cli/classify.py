"""moodsort classify: predict the labels of files and folders without moving or recording them."""

from collections.abc import Iterable, Iterator
from itertools import starmap
from pathlib import Path

import click

from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import Config, load_config
from worker.errors import MoodsortError
from worker.inbox.scanner import make_ignore_test, scan_folder
from worker.paths import format_path
from worker.pool.batch import run_batch
from worker.pool.prediction_task import PhotoResult, PredictionTask
from worker.pool.protocol import Completed, Delayed, Gone, JobResult, Refused

COLUMNS = ("path", "label", "confidence", "probabilities", "faces", "reason", "detail")
_TABLE = ("path", "label", "confidence", "reason", "detail")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--draw",
    "overlay",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Draw the prediction of one photo, and of each face, onto a copy of it in full size: a new .jpg, "
    ".png or other picture. The boxes of doubtful faces are dashed.",
)
@config_option
@format_option
def classify(
    paths: tuple[Path, ...], overlay: Path | None, config_file: Path | None, output_format: str
) -> int:
    """Predict the labels of files, and of all files below folders, without moving or recording them.

    A file that has no prediction has no label, but a reason and a sentence about it.
    """
    config = load_config(config_file)
    files = list(_list_files(paths, config))
    if overlay is None:
        print_rows(starmap(_make_row, _predict(files, config)), COLUMNS, output_format, _TABLE)
    else:
        _predict_and_draw(files, overlay, config, output_format)
    return 0


def _list_files(paths: Iterable[Path], config: Config) -> Iterator[Path]:
    is_ignored = make_ignore_test(config.inbox.ignore)
    for path in paths:
        if path.is_dir():
            entries = scan_folder(path, recursive=config.inbox.recursive, is_ignored=is_ignored)
            yield from sorted(file for file, kind in entries if kind is None)
        else:
            yield path


def _predict(paths: list[Path], config: Config) -> Iterator[tuple[Path, JobResult[PhotoResult]]]:
    # Child processes never open links: in an inbox one could lead anywhere. Here the user has named it.
    files = [path.resolve() if path.is_symlink() else path for path in paths]
    task = PredictionTask(config.bundle_folder)
    results = run_batch(task, files, config.limits, config.processes, config.model.batch_size)
    return zip(paths, results, strict=True)


def _predict_and_draw(files: list[Path], overlay: Path, config: Config, output_format: str) -> None:
    # Imported here for the start-up time of all other commands: it loads Pillow's font renderer.
    from worker.inference.overlay import check_output, write_overlay

    check_output(overlay)
    if len(files) != 1:
        raise click.UsageError(f"--draw takes one photo, but {len(files)} files are named")
    ((photo, result),) = _predict(files, config)
    print_rows([_make_row(photo, result)], COLUMNS, output_format, _TABLE)
    if not isinstance(result, Completed):
        raise MoodsortError(
            f"{format_path(photo)}: has no prediction, so nothing is drawn; name another photo"
        )
    write_overlay(photo, result.result.prediction, overlay, config.limits.max_pixels)


def _make_row(path: Path, result: JobResult[PhotoResult]) -> Row:
    row: dict[str, object] = dict.fromkeys(COLUMNS) | {"path": format_path(path)}
    match result:
        case Completed():
            prediction = result.result.prediction
            fields = {name: getattr(prediction, name) for name in ("label", "confidence", "probabilities")}
            return row | fields | {"faces": prediction.faces_to_dicts()}
        case Refused(_, _, reason, detail):
            return row | {"reason": reason.value, "detail": detail}
        case Delayed(_, detail):
            return row | {"reason": "unreadable", "detail": detail}
        case Gone():
            return row | {"reason": "unreadable", "detail": "it is no regular file, or it has gone"}
