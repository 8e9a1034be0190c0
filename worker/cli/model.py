"""moodsort model: the bundles at hand, which one judges, and what one costs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from worker.cli import config_option
from worker.cli.bundle_rows import (
    COST,
    COST_TABLE,
    LIST,
    LIST_TABLE,
    METRICS,
    STAGES,
    cost_row,
    flat,
    list_row,
    metric_row,
    sentences,
    stage_rows,
    table_row,
)
from worker.cli.output import format_option, print_rows
from worker.config import BUILT_IN_BUNDLE, Config, load_config
from worker.errors import ConfigError
from worker.inference.bundle import load_bundle
from worker.paths import printable, shown
from worker.registry.benchmark import find_photos, measure
from worker.registry.catalog import bundles_at_hand
from worker.registry.choice import BUILT_IN, previous_bundle, setting_path
from worker.registry.switch import Wish, switch

_bundle_argument = click.argument("bundle_name", metavar="[BUNDLE]", required=False)


@click.group()
def model() -> None:
    """See which models there are, choose one, and measure what it costs.

    A BUNDLE is a model's folder, or `default` for the built-in one.
    """


@model.command("list")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path(path_type=Path))
@format_option
@config_option
def list_bundles(folders: tuple[Path, ...], output_format: str, config_file: Path | None) -> None:
    """List bundles side by side.

    These are the built-in one, the one in use, the previous one, those beside the one in use, and all
    below each FOLDER. One that is broken is listed with its problem.
    """
    config = load_config(config_file)
    previous = previous_bundle(setting_path(config_file), config.bundle_folder)
    found = bundles_at_hand(config, previous, folders)
    row = table_row if output_format == "table" else list_row
    print_rows(map(row, found), LIST, output_format, LIST_TABLE)


@model.command("show")
@_bundle_argument
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How the manifest is printed.",
)
@config_option
def show_bundle(bundle_name: str | None, output_format: str, config_file: Path | None) -> None:
    """Show a bundle's manifest.

    Without BUNDLE, that of the one in use.
    """
    bundle = load_bundle(_folder(bundle_name, load_config(config_file)))
    fields = {"folder": shown(bundle.folder)} | asdict(bundle.manifest)
    if output_format == "json":
        click.echo(json.dumps(fields, ensure_ascii=False, indent=2))
        return
    metrics = fields.pop("metrics")
    rows = [{"field": name, "value": value} for name, value in flat(fields)]
    print_rows(rows, (), "table", ("field", "value"))
    print_rows(stage_rows(bundle), (), "table", STAGES)
    if metrics:
        print_rows(map(metric_row, bundle.manifest.metrics), (), "table", METRICS)


@model.command("use")
@_bundle_argument
@click.option("--previous", "is_return", is_flag=True, help="Go back to the one that was in use before.")
@click.option(
    "--test",
    "test_folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Refuse one that has fewer right than the one in use on this folder of class folders.",
)
@click.option("--force", "is_forced", is_flag=True, help="Take one that is worse, or has other classes.")
@config_option
def use(
    bundle_name: str | None,
    is_return: bool,
    test_folder: Path | None,
    is_forced: bool,
    config_file: Path | None,
) -> None:
    """Put a bundle into use.

    It is tested, written into the configuration, and read by the running worker.

    One that fails its self-test is always refused. Where there is no configuration file, ./config.toml is
    made. `model use --previous` goes back.
    """
    if is_return is (bundle_name is not None):
        raise click.UsageError("name a BUNDLE, or give --previous")
    config = load_config(config_file)
    path = setting_path(config_file)
    folder = _previous(path, config) if is_return else _folder(bundle_name, config)
    done = switch(config, path, Wish(folder, test_folder, is_forced, is_return))
    for line in sentences(done, path):
        click.echo(printable(line))


@model.command("benchmark")
@_bundle_argument
@click.option(
    "--photos",
    "photo_folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Measure on photos from here. [default: drawn ones of 12 megapixels]",
)
@click.option(
    "--count", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many photos."
)
@format_option
@config_option
def benchmark(
    bundle_name: str | None,
    photo_folder: Path | None,
    count: int,
    output_format: str,
    config_file: Path | None,
) -> None:
    """Measure what a bundle costs here.

    Without BUNDLE, the one in use. Times are in milliseconds: until a classifier process is ready; for one
    photo in one process, read, decoded and judged, and judged alone; the middle, and what 95 of 100 do not
    exceed. Memory is the most that one process had, in megabytes.
    """
    config = load_config(config_file)
    folder = _folder(bundle_name, config)
    with _photos(photo_folder, config, count) as photos:
        cost = measure(config, folder, photos)
    print_rows([cost_row(cost)], COST, output_format, COST_TABLE)


def _folder(name: str | None, config: Config) -> Path:
    if name is None:
        return config.bundle_folder
    folder = BUILT_IN_BUNDLE if name == BUILT_IN else Path(name).absolute()
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "is not there"
        raise ConfigError(
            f"{shown(folder)}: {found}; name a bundle's folder, or default for the built-in one"
        )
    return folder


def _previous(path: Path, config: Config) -> Path:
    if previous := previous_bundle(path, config.bundle_folder):
        return previous
    raise ConfigError(f"{shown(path)}: no other model was in use before; name one: moodsort model use BUNDLE")


@contextmanager
def _photos(folder: Path | None, config: Config, count: int) -> Iterator[list[Path]]:
    if folder is not None:
        yield find_photos(folder, config, count)
        return
    from worker.registry.sample_photos import draw_pictures

    with TemporaryDirectory(prefix="moodsort-") as drawn:
        pictures = draw_pictures(Path(drawn))
        yield [pictures[index % len(pictures)] for index in range(count)]
