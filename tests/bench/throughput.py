"""How many photos a second, against the usual tutorial's loop on the same photos in the same run."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.bench.metrics import Goal, Metric, make_median
from tests.bench.photos import Root, copy_photos, wait_settled
from tests.bench.processes import ChildFailed, make_module_command, make_moodsort_command, run_child

_SECTION = "throughput"

_TIMES_THE_TUTORIAL = Goal(10.0, is_least=True)

_PATIENCE_SECONDS = 3600.0

_TUTORIAL = "tests.bench.tutorial"

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True, slots=True)
class Rates:
    """Photos a second: while it works, as the program itself reports, and over its process's whole life."""

    work: float
    whole: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Both programs on copies of the same photos, one right after the other."""

    moodsort: Rates
    tutorial: Rates


def measure_throughput(photos: list[Path], scratch: Path, count: int, pairs: int) -> list[Metric]:
    """Time both programs in turn; which of them goes first changes from pair to pair."""
    model = scratch / "tutorial.keras"
    with run_child(make_module_command(_TUTORIAL, "make", model), **_QUIET) as maker:
        maker.wait_for_end(_PATIENCE_SECONDS)
    results = [_measure_pair(photos, scratch, model, count, index) for index in range(pairs)]
    basis = f"median of {pairs} runs over {count} photos"
    life = "from before its process starts until it ends"
    ratio = f"median of {pairs} pairs, in turn, each on copies of the same {count} photos"
    rows = (
        (
            "moodsort",
            [pair.moodsort.work for pair in results],
            "its own summary, to 0.1 s: opens all, files all",
        ),
        ("moodsort, whole process", [pair.moodsort.whole for pair in results], life),
        ("tutorial", [pair.tutorial.work for pair in results], "its loop, without imports and model loading"),
        ("tutorial, whole process", [pair.tutorial.whole for pair in results], life),
    )
    metrics = [make_median(_SECTION, name, rates, "photos/s", f"{basis}; {how}") for name, rates, how in rows]
    work = [pair.moodsort.work / pair.tutorial.work for pair in results]
    whole = [pair.moodsort.whole / pair.tutorial.whole for pair in results]
    ratio_how = f"{ratio}; moodsort's summary against the tutorial's loop"
    return [
        *metrics,
        make_median(_SECTION, "ratio", work, "×", ratio_how, _TIMES_THE_TUTORIAL),
        make_median(_SECTION, "ratio, whole processes", whole, "×", ratio, _TIMES_THE_TUTORIAL),
    ]


def _measure_pair(photos: list[Path], scratch: Path, model: Path, count: int, index: int) -> Pair:
    root, tutorial_folder = scratch / f"moodsort-{index}", scratch / f"tutorial-{index}"
    if index % 2:
        tutorial = _measure_tutorial(photos, tutorial_folder, model, count)
        return Pair(_measure_moodsort(photos, root, count), tutorial)
    moodsort = _measure_moodsort(photos, root, count)
    return Pair(moodsort, _measure_tutorial(photos, tutorial_folder, model, count))


def _measure_moodsort(photos: list[Path], folder: Path, count: int) -> Rates:
    root = Root.make(folder)
    copy_photos(photos, root.inbox, count)
    wait_settled()
    with run_child(make_moodsort_command("run", "--once", "--config", root.config)) as worker:
        seconds_run, _ = worker.wait_for_end(_PATIENCE_SECONDS)
        (summary,) = worker.read_events("summary")
    if summary["photos"] != count or not root.is_empty():
        raise ChildFailed(f"moodsort run --once did not file {count} photos, but logged {summary!r}")
    seconds = max(summary["seconds"], 0.1)  # the resolution of the summary
    return Rates(count / seconds, count / seconds_run)


def _measure_tutorial(photos: list[Path], folder: Path, model: Path, count: int) -> Rates:
    (folder / "inbox").mkdir(parents=True)
    copy_photos(photos, folder / "inbox", count)
    wait_settled()
    with run_child(make_module_command(_TUTORIAL, "sort", model, folder), **_QUIET) as loop:
        seconds_run, output = loop.wait_for_end(_PATIENCE_SECONDS)
    times = json.loads(output)
    return Rates(count / times["seconds"], count / seconds_run)
