"""The command `moodsort dataset split`."""

from collections.abc import Iterator
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
    from trainer.data.split_folders import SplitPlan

_COLUMNS = ("class", *(split.value for split in Split))


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option(
    "--valid-share", default="10%", show_default=True, type=Share(), help="Of each class, for validation."
)
@click.option(
    "--test-share", default="10%", show_default=True, type=Share(), help="Of each class, for the test."
)
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
    """Split pictures into train, valid and test, with near-duplicates together.

    DATA is one or more folders that hold one folder for each class. OUT gets folders train, valid and test
    with the classes' folders in each; in them are links to the pictures, which stay where they are. A share
    of 0 makes no such split. What is given as train, valid or test stays that. Files that cannot be read are
    left out.
    """
    require_libraries("dataset split", ("scipy",))
    # Not before the library is known to be there; the other commands do without it.
    from trainer.data.splits import HoldOutShares
    from trainer.pipelines.split_dataset import SplitConfig, split_dataset

    _check_shares(valid_share, test_share)
    max_pixels = load_config(config_file).limits.max_pixels
    shares = HoldOutShares(valid_share, test_share)
    plan = split_dataset(SplitConfig(data, out, shares, seed, max_pixels), REPORTER)
    print_rows(_make_rows(plan), _COLUMNS, output_format, _COLUMNS)
    for leakage in plan.leakages:
        if leakage.leaked:
            say(f"leakage: {leakage}, as they were given")
    say(
        f"wrote {format_path(out)}: {len(plan.files)} pictures, {plan.distinct} of them different, "
        f"{len(plan.unreadable)} left out"
    )


def _check_shares(validation: float, test: float) -> None:
    if validation + test >= 1:
        raise click.UsageError("--valid-share and --test-share leave nothing to train on; give smaller ones")
    if not validation + test:
        raise click.UsageError("--valid-share and --test-share are both 0; then there is nothing to split")


def _make_rows(plan: "SplitPlan") -> Iterator[Row]:
    for label in plan.classes:
        yield {"class": label} | {split.value: plan.count(split, label) for split in Split}
