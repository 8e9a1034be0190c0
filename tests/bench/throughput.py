"""How many photos a second, against the usual tutorial's loop on the same photos in the same run."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure, Goal, median_of
from tests.bench.photos import Root, copy_photos, let_settle
from tests.bench.processes import ChildFailed, child, module, moodsort

_SECTION = "throughput"

_TIMES_THE_TUTORIAL = Goal(10.0, is_least=True)

_PATIENCE_SECONDS = 3600.0

_TUTORIAL = "tests.bench.tutorial"

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

_SUMMARY = re.compile(r"^(\d+) photos? in ([\d.]+) s")


@dataclass(frozen=True, slots=True)
class Rates:
    """Photos a second: while at work as the program itself counts it, and over its process's whole life."""

    work: float
    whole: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ways on copies of the same photos, one straight after the other."""

    moodsort: Rates
    tutorial: Rates


def throughput_figures(photos: list[Path], scratch: Path, count: int, pairs: int) -> list[Figure]:
    """Time both ways in turn; which of them goes first changes from pair to pair."""
    model = scratch / "tutorial.keras"
    with child(module(_TUTORIAL, "make", model), **_QUIET) as maker:
        maker.wait_for_end(_PATIENCE_SECONDS)
    found = [_pair(photos, scratch, model, count, index) for index in range(pairs)]
    every = f"median of {pairs} runs over {count} photos"
    life = "from before its process starts until it ends"
    ratio = f"median of {pairs} pairs, in turn, each on copies of the same {count} photos"
    rows = (
        (
            "moodsort",
            [pair.moodsort.work for pair in found],
            "its own summary, to 0.1 s: opens all, files all",
        ),
        ("moodsort, whole process", [pair.moodsort.whole for pair in found], life),
        ("tutorial", [pair.tutorial.work for pair in found], "its loop, without imports and model loading"),
        ("tutorial, whole process", [pair.tutorial.whole for pair in found], life),
    )
    figures = [median_of(_SECTION, name, rates, "photos/s", f"{every}; {how}") for name, rates, how in rows]
    work = [pair.moodsort.work / pair.tutorial.work for pair in found]
    whole = [pair.moodsort.whole / pair.tutorial.whole for pair in found]
    against = f"{ratio}; moodsort's summary against the tutorial's loop"
    return [
        *figures,
        median_of(_SECTION, "ratio", work, "×", against, _TIMES_THE_TUTORIAL),
        median_of(_SECTION, "ratio, whole processes", whole, "×", ratio, _TIMES_THE_TUTORIAL),
    ]


def _pair(photos: list[Path], scratch: Path, model: Path, count: int, index: int) -> Pair:
    ours, theirs = scratch / f"moodsort-{index}", scratch / f"tutorial-{index}"
    if index % 2:
        tutorial = _tutorial(photos, theirs, model, count)
        return Pair(_moodsort(photos, ours, count), tutorial)
    return Pair(_moodsort(photos, ours, count), _tutorial(photos, theirs, model, count))


def _moodsort(photos: list[Path], folder: Path, count: int) -> Rates:
    root = Root.made(folder)
    copy_photos(photos, root.inbox, count)
    let_settle()
    with child(moodsort("run", "--once", "--config", root.config)) as worker:
        wall, printed = worker.wait_for_end(_PATIENCE_SECONDS)
    summary = _SUMMARY.search(printed)
    if summary is None or int(summary[1]) != count or not root.is_empty():
        raise ChildFailed(f"moodsort run --once did not file {count} photos, but said {printed!r}")
    seconds = max(float(summary[2]), 0.1)  # what the summary resolves
    return Rates(count / seconds, count / wall)


def _tutorial(photos: list[Path], folder: Path, model: Path, count: int) -> Rates:
    (folder / "inbox").mkdir(parents=True)
    copy_photos(photos, folder / "inbox", count)
    let_settle()
    with child(module(_TUTORIAL, "sort", model, folder), **_QUIET) as loop:
        wall, printed = loop.wait_for_end(_PATIENCE_SECONDS)
    times = json.loads(printed)
    return Rates(count / times["seconds"], count / wall)
