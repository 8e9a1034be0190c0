"""The command `moodsort dataset split`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import require_libraries
from trainer.cli.messages import bar, say
from trainer.cli.shares import Share
from worker.cli import config_option
from worker.cli.output import Row, format_option, print_rows
from worker.config import load_config
from worker.paths import shown

if TYPE_CHECKING:
    from trainer.data.class_folders import ClassFile
    from trainer.data.dataset import Sample, Unread
    from trainer.data.split_folders import Division
    from trainer.data.splits import Shares

_COLUMNS = ("class", "train", "valid", "test")


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option(
    "--valid-share", default="10%", show_default=True, type=Share(), help="Of each class, to choose by."
)
@click.option("--test-share", default="10%", show_default=True, type=Share(), help="And to test with.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of the random draw."
)
@config_option
@format_option
def split(
    data: tuple[Path, ...],
    out: Path,
    valid_share: float,
    test_share: float,
    seed: int,
    config_file: Path | None,
    output_format: str,
) -> None:
    """Divide pictures into train, valid and test, with near-duplicates together.

    DATA is one or more folders that hold one folder for each class. OUT gets folders train, valid and test
    with the classes' folders in each; in them are links to the pictures, which stay where they are. A share
    of 0 makes no such part. What is given as train, valid or test stays that. Files that cannot be read are
    left out.
    """
    require_libraries("dataset split", ("scipy",))
    from trainer.data.atomic_directory import check_free
    from trainer.data.class_folders import find_classes
    from trainer.data.destinations import check_apart
    from trainer.data.split_folders import link_parts
    from trainer.data.splits import Shares

    _check_shares(valid_share, test_share)
    check_free(out)
    check_apart(out, data)
    found = find_classes(data)
    division = _divided(
        found, Shares(valid_share, test_share), seed, load_config(config_file).limits.max_pixels
    )
    link_parts(division, data, out)
    print_rows(_rows(division), _COLUMNS, output_format, _COLUMNS)
    for leakage in division.leakages:
        if leakage.leaked:
            say(f"leakage: {leakage}, as they were given")
    say(
        f"wrote {shown(out)}: {len(division.files)} pictures, {division.different} of them different, "
        f"{len(division.unread)} left out"
    )


def _check_shares(validation: float, test: float) -> None:
    if validation + test >= 1:
        raise click.UsageError("--valid-share and --test-share leave nothing to train on; give smaller ones")
    if not validation + test:
        raise click.UsageError("--valid-share and --test-share are both 0; then there is nothing to divide")


def _divided(found: "dict[str, list[ClassFile]]", shares: "Shares", seed: int, max_pixels: int) -> "Division":
    from trainer.data.dataset import Unread
    from trainer.data.split_folders import divide

    with bar("reading", sum(map(len, found.values()))) as on_file:

        def tell(outcome: "Sample | Unread") -> None:
            on_file()
            if isinstance(outcome, Unread):
                say(f"left out {shown(outcome.path)}: {outcome.detail}")

        return divide(found, shares, seed, max_pixels, tell)


def _rows(division: "Division") -> Iterator[Row]:
    from trainer.data.class_folders import Part

    for label in division.classes:
        yield {"class": label} | {part.value: division.count(part, label) for part in Part}
