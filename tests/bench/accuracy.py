"""Measure any bundle on any folders of class folders, and print Markdown for its model card.

    python -m tests.bench.accuracy BUNDLE DATA... [--robustness DATA] [--photo FILE] [--limit N]

BUNDLE is a bundle's folder, or `default` for the built-in one.
"""

import os
from pathlib import Path

import click

from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_cost import format_cost_section
from tests.bench.accuracy_predictions import predict_folder
from tests.bench.accuracy_tables import format_accuracy_section, format_cell, format_robustness_section
from trainer.cli.messages import say
from worker.config import BUILT_IN_BUNDLE
from worker.errors import MoodsortError
from worker.inference.bundle import load_bundle

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_AT_LEAST_ONE = click.IntRange(min=1)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", nargs=-1, type=_FOLDER)
@click.option(
    "--robustness", multiple=True, type=_FOLDER, help="Predict these as they are and changed in five ways."
)
@click.option(
    "--photo", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Measure times on it."
)
@click.option("--limit", type=_AT_LEAST_ONE, help="Predict only a random sample of so many per folder.")
@click.option("--processes", type=_AT_LEAST_ONE, help="Child processes.  [default: one per core]")
def main(
    bundle: Path,
    data: tuple[Path, ...],
    robustness: tuple[Path, ...],
    photo: Path | None,
    limit: int | None,
    processes: int | None,
) -> None:
    """Measure a bundle on folders that hold one folder of pictures for each class.

    Of a folder with splits, the test split is evaluated, as by `moodsort evaluate`.
    """
    process_count = processes or len(os.sched_getaffinity(0))
    try:
        loaded = load_bundle(BUILT_IN_BUNDLE if bundle == Path("default") and not bundle.exists() else bundle)
        click.echo(f"## {format_cell(loaded.manifest.name)}, version {loaded.manifest.version}")
        for folder in data:
            predictions = predict_folder(loaded, folder, (), limit, process_count)
            _print_section(format_accuracy_section(loaded, predictions))
        for folder in robustness:
            predictions = predict_folder(loaded, folder, CHANGES, limit, process_count)
            _print_section(format_robustness_section(loaded, predictions))
        say("measuring what a prediction costs")
        _print_section(format_cost_section(loaded, photo))
    except MoodsortError as error:
        raise click.ClickException(str(error)) from error


def _print_section(section: str) -> None:
    click.echo(f"\n{section}")


if __name__ == "__main__":
    main()
