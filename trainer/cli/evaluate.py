"""The command `moodsort evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import format_command, require_libraries
from trainer.cli.messages import say
from worker.cli.options import config_option, format_option
from worker.cli.output import format_json, print_rows
from worker.config import BUILT_IN_BUNDLE, Limits, load_config
from worker.paths import format_path

if TYPE_CHECKING:
    from trainer.evaluation.bundle_evaluation import Evaluation, SkippedFile
    from worker.inference.manifest import Metric

_BUILT_IN = "default"


@click.command()
@click.argument("bundle", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write a page with charts into this folder; of two bundles, with the pictures on which they differ.",
)
@click.option("--no-pictures", is_flag=True, help="Leave the pictures themselves out of the report.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of the resampling."
)
@config_option
@format_option
def evaluate(
    bundle: tuple[Path, ...],
    data: Path,
    config_file: Path | None,
    report: Path | None,
    no_pictures: bool,
    seed: int,
    output_format: str,
) -> None:
    """Measure a bundle, or compare two, on pictures whose classes are known.

    DATA is a folder that holds one folder of pictures for each class of the BUNDLE, such as the worker's own;
    folders of other names are left out. Of one that is split into train, valid and test, the test split is
    evaluated. The bundle predicts as in the worker, under the limits of its configuration, and every metric
    comes with its 95 % interval. Of two bundles, McNemar's exact test says whether one is better.
    """
    if len(bundle) > 2:
        raise click.UsageError(f"{len(bundle)} bundles; name one, or two to compare")
    require_libraries("evaluation", ("scipy", *(("matplotlib", "jinja2") if report else ())))
    # Imported here: SciPy, and matplotlib for the report, take a second to start, and may be missing.
    from trainer.cli.evaluation_tables import METRIC_COLUMNS, make_json, make_metric_rows, print_tables
    from trainer.evaluation.metrics import compute_metrics
    from trainer.pipelines.evaluate import evaluate_bundles

    folders = [_find_bundle(folder) for folder in bundle]
    limits = load_config(config_file).limits
    evaluation = evaluate_bundles(folders, data, limits, _report_file, say)
    classes = evaluation.bundles[0].bundle.manifest.classes
    metrics = [compute_metrics(evaluated.predictions, classes, "", seed) for evaluated in evaluation.bundles]
    if output_format == "json":
        click.echo(format_json(make_json(evaluation, metrics, seed), indent=2))
    elif output_format == "table":
        print_tables(evaluation, data, metrics, seed)
    else:
        print_rows(make_metric_rows(evaluation, metrics), METRIC_COLUMNS, output_format, METRIC_COLUMNS)
    if report is not None:
        _write_report(report, evaluation, data, metrics, seed, limits, with_pictures=not no_pictures)


def _find_bundle(folder: Path) -> Path:
    """Return the built-in bundle's folder for its name, unless a folder here has it."""
    return BUILT_IN_BUNDLE if folder == Path(_BUILT_IN) and not folder.exists() else folder


def _write_report(
    folder: Path,
    evaluation: "Evaluation",
    data: Path,
    metrics: "Sequence[tuple[Metric, ...]]",
    seed: int,
    limits: Limits,
    *,
    with_pictures: bool,
) -> None:
    from trainer.cli.evaluation_tables import compare_bundles
    from trainer.report import write_comparison, write_report
    from trainer.report.comparison_study import make_comparison_study
    from trainer.report.evaluation_study import make_evaluation_study

    command = format_command()
    comparison = compare_bundles(evaluation, seed)
    if comparison is None:
        write_report(
            folder,
            make_evaluation_study(
                evaluation, 0, data, metrics[0], command, limits, with_pictures=with_pictures
            ),
        )
    else:
        write_comparison(
            folder,
            make_comparison_study(
                evaluation, data, metrics, comparison, command, limits, with_pictures=with_pictures
            ),
        )
    say(f"wrote {format_path(folder / 'index.html')}")


def _report_file(skipped: "SkippedFile | None") -> None:
    if skipped is not None:
        say(f"skipped {format_path(skipped.path)}: {skipped.detail} ({skipped.reason})")
