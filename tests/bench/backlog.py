"""What a photo costs while others wait: `python -m tests.bench.backlog --waiting 1000,100000`."""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from tests.bench.photos import Root, wait_settled
from tests.bench.processes import (
    Child,
    make_moodsort_command,
    measure_cpu_seconds,
    measure_memory,
    run_child,
)
from tests.drawing import draw_jpeg

_PER_FOLDER = 10_000
"""More files than this nobody looks at in one folder, and some file systems become slow."""

_DRAWINGS = 50

_POLL_SECONDS = 0.05

_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A worker at one moment: photos filed, monotonic seconds, processor seconds of the parent alone."""

    filed: int
    at: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured with so many photos waiting; `first_seconds` count from before the start."""

    waiting: int
    photos_per_second: float
    parent_ms: float
    parent_bytes: int
    first_seconds: float


@click.command()
@click.option("--waiting", default="1000,100000", help="How many photos wait, one run each.")
@click.option("--photos", default=5000, help="How many of them are filed while the worker is measured.")
@click.option("--scratch", type=click.Path(path_type=Path), help="Where the folders are made; a disk.")
def measure(waiting: str, photos: int, scratch: Path | None) -> None:
    """Print a row for each number of photos that wait when the worker starts."""
    click.echo("waiting  photos/s  parent ms/photo  parent MB (PSS)  first filed s")
    for count in map(int, waiting.split(",")):
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            cost = _measure_backlog(Path(folder), count, photos)
        click.echo(
            f"{cost.waiting:>7}  {cost.photos_per_second:>8.1f}  {cost.parent_ms:>15.3f}"
            f"  {cost.parent_bytes / 1e6:>15.1f}  {cost.first_seconds:>13.2f}"
        )


def _measure_backlog(folder: Path, waiting: int, photos: int) -> Cost:
    root = Root.make(folder)
    _fill(root.inbox, waiting)
    wait_settled()
    # Not to the last one: what waits is to be there all the time, and the end has batches that are not full.
    goal = min(photos, waiting * 9 // 10)
    with run_child(make_moodsort_command("run", "--config", root.config)) as child:
        first = _wait_for(child, root, 1)
        last, peak = first, 0
        while last.filed < goal:
            peak = max(peak, measure_memory([child.popen.pid]).pss)
            last = _wait_for(child, root, last.filed + 1)
    filed = last.filed - first.filed
    return Cost(
        waiting,
        filed / (last.at - first.at),
        1000 * (last.cpu - first.cpu) / filed,
        peak,
        first.at - child.started_at,
    )


def _fill(inbox: Path, count: int) -> None:
    drawings = [draw_jpeg(seed) for seed in range(_DRAWINGS)]
    for number in range(count):
        folder = inbox / f"{number // _PER_FOLDER:02}"
        if number % _PER_FOLDER == 0:
            folder.mkdir()
        (folder / f"{number:06}.jpg").write_bytes(drawings[number % _DRAWINGS])


def _wait_for(child: Child, root: Root, filed: int) -> Sample:
    """Wait until so many photos are filed."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while (count := _count_filed(root)) < filed:
        if time.monotonic() > give_up_at or child.popen.poll() is not None:
            raise child.describe_failure(f"did not file {filed} photos")
        time.sleep(_POLL_SECONDS)
    return Sample(count, time.monotonic(), measure_cpu_seconds([child.popen.pid]))


def _count_filed(root: Root) -> int:
    folders = [entry for entry in os.scandir(root.inbox.parent) if entry.is_dir() and entry.name != "inbox"]
    return sum(len(files) for folder in folders for _, _, files in os.walk(folder.path))


if __name__ == "__main__":
    measure()
