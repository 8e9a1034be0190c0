"""moodsort classify: judge files and folders without moving or recording them."""

from collections.abc import Iterable, Iterator
from itertools import starmap
from pathlib import Path

import click

from worker.cli import config_option
from worker.cli.output import Row, format_option, print_rows
from worker.config import Config, load_config
from worker.daemon.clock import Clock
from worker.errors import MoodsortError
from worker.inbox.scanner import ignored_by, scan
from worker.inference.bundle import load_bundle
from worker.paths import shown
from worker.pool.batch import judge_files
from worker.pool.protocol import Delayed, Gone, Judged, Outcome, Refused

COLUMNS = ("path", "label", "confidence", "scores", "faces", "reason", "detail")
_TABLE = ("path", "label", "confidence", "reason", "detail")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--draw",
    "drawing",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Draw what is said of one photo, and of each face, onto a copy of it: a new .jpg or .png.",
)
@config_option
@format_option
def classify(
    paths: tuple[Path, ...], drawing: Path | None, config_file: Path | None, output_format: str
) -> int:
    """Judge files, and all files below folders, without moving or recording them.

    A file that could not be judged has no label, but a reason and a sentence about it.
    """
    config = load_config(config_file)
    found = list(_files(paths, config))
    if drawing is None:
        print_rows(starmap(_row, _judged(found, config)), COLUMNS, output_format, _TABLE)
        return 0
    from worker.inference.overlay import check_place

    check_place(drawing)
    if len(found) != 1:
        raise click.UsageError(f"--draw takes one photo, but {len(found)} files are named")
    ((photo, outcome),) = _judged(found, config)
    print_rows([_row(photo, outcome)], COLUMNS, output_format, _TABLE)
    _draw(photo, outcome, drawing, config)
    return 0


def _files(paths: Iterable[Path], config: Config) -> Iterator[Path]:
    is_ignored = ignored_by(config.inbox.ignore)
    for path in paths:
        if path.is_dir():
            below = scan(path, recursive=config.inbox.recursive, is_ignored=is_ignored)
            yield from sorted(file for file, other in below if other is None)
        else:
            yield path


def _judged(paths: list[Path], config: Config) -> Iterator[tuple[Path, Outcome]]:
    bundle = load_bundle(config.bundle_folder)
    files = [path.resolve() if path.is_symlink() else path for path in paths]  # links are never opened
    return zip(paths, judge_files(config, bundle, files, Clock()), strict=True)


def _draw(photo: Path, outcome: Outcome, drawing: Path, config: Config) -> None:
    from worker.inference.overlay import write_drawing

    if not isinstance(outcome, Judged):
        raise MoodsortError(f"{shown(photo)}: could not be judged, so nothing is drawn; name another photo")
    write_drawing(photo, outcome.verdict, drawing, config.limits.max_pixels)


def _row(path: Path, outcome: Outcome) -> Row:
    empty: dict[str, object] = dict.fromkeys(COLUMNS)
    match outcome:
        case Judged(_, _, _, _, verdict):
            found = {name: getattr(verdict, name) for name in ("label", "confidence", "scores")}
            found["faces"] = verdict.faces_as_tables()
        case Refused(_, _, reason, detail):
            found = {"reason": reason.value, "detail": detail}
        case Delayed(_, detail):
            found = {"reason": "unreadable", "detail": detail}
        case Gone():
            found = {"reason": "unreadable", "detail": "it is no regular file, or it has gone"}
    return empty | {"path": shown(path)} | found
