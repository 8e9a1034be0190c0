"""Measure the runtime: how soon it starts, what it takes, how many photos it files, and how fast one.

    python -m tests.bench.runtime FOLDER

FOLDER holds photos; they are copied, never changed. Nothing else should run on the machine meanwhile.
"""

import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

import click

from tests.bench.latency import measure_latency
from tests.bench.metrics import Metric, format_json, print_table
from tests.bench.photos import list_photos
from tests.bench.processes import ChildFailed
from tests.bench.start_times import measure_rest, measure_start
from tests.bench.throughput import measure_throughput

_SECTIONS = ("start", "rest", "throughput", "latency")

_AT_LEAST_ONE = click.IntRange(min=1)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--starts", type=_AT_LEAST_ONE, default=5, help="Starts with each kind of database.")
@click.option(
    "--idle-seconds", type=click.FloatRange(min=1), default=20.0, help="How long idleness is watched."
)
@click.option("--count", type=_AT_LEAST_ONE, default=300, help="Photos for each measurement of throughput.")
@click.option(
    "--pairs", type=_AT_LEAST_ONE, default=3, help="Repetitions of moodsort and the tutorial's loop."
)
@click.option("--singles", type=_AT_LEAST_ONE, default=100, help="Photos for latency, one by one.")
@click.option(
    "--only", multiple=True, type=click.Choice(_SECTIONS), help="Measure this alone; may be repeated."
)
@click.option(
    "--scratch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where to work. [default: the system's temporary folder]",
)
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def main(
    folder: Path,
    starts: int,
    idle_seconds: float,
    count: int,
    pairs: int,
    singles: int,
    only: tuple[str, ...],
    scratch: Path | None,
    output: str,
) -> None:
    """Measure `moodsort run` with copies of the photos in FOLDER, and print one table of metrics."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that contexts are left
    photos = list_photos(folder)
    if not photos:
        raise click.UsageError(f"{folder}: holds no JPEG, PNG, WebP or BMP photo")
    with tempfile.TemporaryDirectory(prefix="moodsort-bench-", dir=scratch) as temporary:
        work = Path(temporary)
        machine = _describe_machine(work)
        sections = {
            "start": lambda: measure_start(photos, work, starts),
            "rest": lambda: measure_rest(photos, work, idle_seconds),
            "throughput": lambda: measure_throughput(photos, work, count, pairs),
            "latency": lambda: measure_latency(photos, work, singles),
        }
        metrics: list[Metric] = []
        for name in _SECTIONS:
            if not only or name in only:
                click.echo(f"measuring {name} …", err=True)
                try:
                    metrics += sections[name]()
                except ChildFailed as error:
                    raise click.ClickException(str(error)) from error
    if output == "json":
        click.echo(format_json(machine, metrics))
    else:
        print_table(machine, metrics)


def _describe_machine(work: Path) -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "processor": platform.machine(),
        "system": platform.release(),
        "python": platform.python_version(),
        "file system": _find_file_system(work),
    }


def _find_file_system(folder: Path) -> str:
    best, kind = Path(), "unknown"
    for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines():
        _, point, name, *_ = line.split(" ")
        if folder.is_relative_to(point) and len(Path(point).parts) >= len(best.parts):
            best, kind = Path(point), name
    return kind


if __name__ == "__main__":
    main()
