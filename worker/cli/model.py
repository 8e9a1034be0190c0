"""moodsort model: the bundles on this machine, the one in use, and what one costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from worker.cli.bundle_rows import (
    COST,
    COST_TABLE,
    LIST,
    LIST_TABLE,
    METRICS,
    NETWORKS,
    describe_switch,
    flatten,
    make_cost_row,
    make_list_row,
    make_metric_row,
    make_network_rows,
    make_table_row,
    parse_creation,
)
from worker.cli.options import config_option, format_option
from worker.cli.output import format_json, print_rows
from worker.config import BUILT_IN_BUNDLE, Config, load_config
from worker.errors import ConfigError
from worker.inference.bundle import load_bundle
from worker.paths import escape_unprintable, format_path
from worker.registry.benchmark import choose_photos, measure_cost
from worker.registry.catalog import find_bundles
from worker.registry.choice import BUILT_IN, find_previous_bundle, find_setting_file
from worker.registry.switch import SwitchRequest, switch_bundle

_bundle_argument = click.argument("bundle_name", metavar="[BUNDLE]", required=False)


@click.group()
def model() -> None:
    """List the models on this machine, choose one, and measure what it costs.

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
    previous = find_previous_bundle(find_setting_file(config_file), config.bundle_folder)
    entries = find_bundles(config, previous, folders)
    make_row = make_table_row if output_format == "table" else make_list_row
    print_rows(map(make_row, entries), LIST, output_format, LIST_TABLE)


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
    bundle = load_bundle(_find_folder(bundle_name, load_config(config_file)))
    fields = {"folder": format_path(bundle.folder)} | asdict(bundle.manifest)
    if output_format == "json":
        click.echo(format_json(fields, indent=2))
        return
    metrics = fields.pop("metrics")
    fields["created_at"] = parse_creation(bundle.manifest.created_at)
    rows = [{"field": name, "value": value} for name, value in flatten(fields)]
    print_rows(rows, (), "table", ("field", "value"))
    print_rows(make_network_rows(bundle), (), "table", NETWORKS)
    if metrics:
        print_rows(map(make_metric_row, bundle.manifest.metrics), (), "table", METRICS)


@model.command("use")
@_bundle_argument
@click.option("--previous", "is_return", is_flag=True, help="Go back to the one that was in use before.")
@click.option(
    "--test",
    "test_folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Refuse one that is less accurate than the one in use on this folder of class folders; folders that "
    "are no class are left out.",
)
@click.option("--force", "is_forced", is_flag=True, help="Accept one that is worse, or has other classes.")
@config_option
def use(
    bundle_name: str | None,
    is_return: bool,
    test_folder: Path | None,
    is_forced: bool,
    config_file: Path | None,
) -> None:
    """Put a bundle into use.

    It is tested, written into the configuration, and loaded by the running worker.

    One that fails its self-test is always refused. Where there is no configuration file, ./config.toml is
    made. `model use --previous` goes back.
    """
    if is_return is (bundle_name is not None):
        raise click.UsageError("name a BUNDLE, or give --previous")
    config = load_config(config_file)
    path = find_setting_file(config_file)
    folder = _find_previous(path, config) if is_return else _find_folder(bundle_name, config)
    result = switch_bundle(config, path, SwitchRequest(folder, test_folder, is_forced, is_return))
    for line in describe_switch(result, path):
        click.echo(escape_unprintable(line))


@model.command("benchmark")
@_bundle_argument
@click.option(
    "--photos",
    "photo_folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Measure on photos from this folder. [default: generated ones of 12 megapixels]",
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

    Without BUNDLE, the one in use. Times are in milliseconds: until a child process is ready (load); to read,
    decode and predict one photo in one process (photo), and to predict it alone (predict); the median, and
    the 95th percentile (p95). Memory is the most that one process had, in megabytes.
    """
    config = load_config(config_file)
    folder = _find_folder(bundle_name, config)
    with _provide_photos(photo_folder, config, count) as photos:
        cost = measure_cost(config, folder, photos)
    print_rows([make_cost_row(cost)], COST, output_format, COST_TABLE)


def _find_folder(name: str | None, config: Config) -> Path:
    if name is None:
        return config.bundle_folder
    folder = BUILT_IN_BUNDLE if name == BUILT_IN else Path(name).absolute()
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "is not there"
        raise ConfigError(
            f"{format_path(folder)}: {problem}; name a bundle's folder, or default for the built-in one"
        )
    return folder


def _find_previous(path: Path, config: Config) -> Path:
    if previous := find_previous_bundle(path, config.bundle_folder):
        return previous
    raise ConfigError(
        f"{format_path(path)}: no other model was in use before; name one: moodsort model use BUNDLE"
    )


@contextmanager
def _provide_photos(folder: Path | None, config: Config, count: int) -> Iterator[list[Path]]:
    if folder is not None:
        yield choose_photos(folder, config, count)
        return
    from worker.registry.sample_photos import draw_sample_photos  # imports NumPy and Pillow

    with TemporaryDirectory(prefix="moodsort-") as temporary:
        pictures = draw_sample_photos(Path(temporary))
        yield [pictures[index % len(pictures)] for index in range(count)]
