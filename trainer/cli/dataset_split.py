"""The command `moodsort dataset split`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import require_libraries
from trainer.cli.messages import say, show_bar
from trainer.cli.shares import Share
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import load_config
from worker.paths import format_path

if TYPE_CHECKING:
    from trainer.data.class_folders import ClassFile
    from trainer.data.dataset import Sample, UnreadableFile
    from trainer.data.split_folders import SplitPlan
    from trainer.data.splits import HoldOutShares

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
    from trainer.data.atomic_directory import check_unused
    from trainer.data.class_folders import find_classes
    from trainer.data.destinations import check_outside
    from trainer.data.split_folders import link_splits
    from trainer.data.splits import HoldOutShares

    _check_shares(valid_share, test_share)
    check_unused(out)
    check_outside(out, data)
    found = find_classes(data)
    division = _split(
        found, HoldOutShares(valid_share, test_share), seed, load_config(config_file).limits.max_pixels
    )
    link_splits(division, data, out)
    print_rows(_rows(division), _COLUMNS, output_format, _COLUMNS)
    for leakage in division.leakages:
        if leakage.leaked:
            say(f"leakage: {leakage}, as they were given")
    say(
        f"wrote {format_path(out)}: {len(division.files)} pictures, {division.different} of them different, "
        f"{len(division.unreadable)} left out"
    )


def _check_shares(validation: float, test: float) -> None:
    if validation + test >= 1:
        raise click.UsageError("--valid-share and --test-share leave nothing to train on; give smaller ones")
    if not validation + test:
        raise click.UsageError("--valid-share and --test-share are both 0; then there is nothing to divide")


def _split(
    found: "dict[str, list[ClassFile]]", shares: "HoldOutShares", seed: int, max_pixels: int
) -> "SplitPlan":
    from trainer.data.dataset import UnreadableFile
    from trainer.data.split_folders import split_files

    with show_bar("reading", sum(map(len, found.values()))) as on_file:

        def tell(outcome: "Sample | UnreadableFile") -> None:
            on_file()
            if isinstance(outcome, UnreadableFile):
                say(f"left out {format_path(outcome.path)}: {outcome.detail}")

        return split_files(found, shares, seed, max_pixels, tell)


def _rows(division: "SplitPlan") -> Iterator[Row]:
    from trainer.data.class_folders import Split

    for label in division.classes:
        yield {"class": label} | {part.value: division.count(part, label) for part in Split}
