"""Split folders of pictures into train, valid and test: read, group near-duplicates, draw, link."""

from dataclasses import dataclass
from pathlib import Path

from trainer.data.atomic_directory import check_unused
from trainer.data.class_folders import find_classes
from trainer.data.dataset import Sample
from trainer.data.destinations import check_outside
from trainer.data.images import UnreadableFile
from trainer.data.split_folders import SplitPlan, link_splits, plan_splits
from trainer.data.splits import HoldOutShares
from trainer.pipelines.reporter import Reporter


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """What to split, the folder to make, and what of each class is held out, by the draw of a seed."""

    data: tuple[Path, ...]
    out: Path
    shares: HoldOutShares
    seed: int
    max_pixels: int


def split_dataset(config: SplitConfig, reporter: Reporter) -> SplitPlan:
    """Make a folder of links to the pictures, near-duplicates in one split, and return which went where.

    Raises ConfigError where `out` is taken or in the data, or a class has too few pictures, BundleError where
    the disk refuses; then nothing is left.
    """
    check_unused(config.out)
    check_outside(config.out, config.data)
    files_by_class = find_classes(config.data)
    with reporter.show_bar("reading", sum(map(len, files_by_class.values()))) as advance:

        def on_file(result: Sample | UnreadableFile) -> None:
            advance()
            if isinstance(result, UnreadableFile):
                reporter.say(f"left out {result}")

        plan = plan_splits(files_by_class, config.shares, config.seed, config.max_pixels, on_file)
    link_splits(plan, config.data, config.out)
    return plan
