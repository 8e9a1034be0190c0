"""The command `moodsort evaluate`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainer.cli import format_command, require_libraries
from worker.cli.options import config_option, format_option
from worker.cli.output import print_rows
from worker.config import BUILT_IN_BUNDLE, load_config
from worker.paths import escape_unprintable, format_path

if TYPE_CHECKING:
    from trainer.evaluation.bundle_evaluation import BundleEvaluation, Evaluation, SkippedFile
    from trainer.evaluation.comparison import PairedComparison
    from worker.inference.bundle import Metric

_COLUMNS = ("bundle", "version", "metric", "label", "value", "low", "high", "pictures")
_TABLE = ("metric", "label", "value", "95 % interval", "pictures")
_DIFFERENCES = ("path", "label", "first", "first_confidence", "second", "second_confidence")

_MAX_SHOWN = 50

_BUILT_IN = "default"


@click.command()
@click.argument("bundle", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--report", type=click.Path(path_type=Path), help="Write a page with charts into this folder.")
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

    DATA is a folder that holds one folder of pictures for each class of the BUNDLE. Of one that is split into
    train, valid and test, the test is taken. The bundle predicts as in the worker, under the limits of its
    configuration, and every metric comes with its 95 % interval. Of two bundles, McNemar's exact test says
    whether one is better.
    """
    if len(bundle) > 2:
        raise click.UsageError(f"{len(bundle)} bundles; name one, or two to compare")
    if report is not None and len(bundle) == 2:
        raise click.UsageError("--report is of one bundle; leave the other out")
    require_libraries("evaluation", ("scipy", *(("matplotlib", "jinja2") if report else ())))
    from trainer.evaluation.metrics import compute_metrics
    from trainer.pipelines.evaluate import evaluate_bundles

    folders = [_find_bundle(folder) for folder in bundle]
    evaluation = evaluate_bundles(folders, data, load_config(config_file).limits, _report_file)
    classes = _list_classes(evaluation)
    metrics = [compute_metrics(each.predictions, classes, "", seed) for each in evaluation.bundles]
    if output_format == "json":
        click.echo(json.dumps(_make_json(evaluation, metrics, seed), ensure_ascii=False, indent=2))
    elif output_format == "table":
        _print_tables(evaluation, data, metrics, seed)
    else:
        print_rows(_make_rows(evaluation, metrics), _COLUMNS, output_format, _COLUMNS)
    if report is not None:
        from trainer.report import write_report
        from trainer.report.evaluation_study import make_evaluation_study

        study = make_evaluation_study(
            evaluation, data, metrics[0], format_command(), with_pictures=not no_pictures
        )
        write_report(report, study)
        click.echo(f"wrote {format_path(report / 'index.html')}", err=True)


def _find_bundle(folder: Path) -> Path:
    """Return the built-in bundle's folder for its name, unless a folder here has it."""
    return BUILT_IN_BUNDLE if folder == Path(_BUILT_IN) and not folder.exists() else folder


def _report_file(skipped: "SkippedFile | None") -> None:
    if skipped is not None:
        line = f"left out {format_path(skipped.path)}: {skipped.detail} ({skipped.reason})"
        click.echo(escape_unprintable(line), err=True)


def _list_classes(evaluation: "Evaluation") -> tuple[str, ...]:
    return evaluation.bundles[0].bundle.manifest.classes


def _make_rows(evaluation: "Evaluation", metrics: Sequence[tuple["Metric", ...]]) -> Iterator[dict[str, Any]]:
    for measured, of_bundle in zip(evaluation.bundles, metrics, strict=True):
        for metric in of_bundle:
            yield _name_bundle(measured) | _make_metric_fields(metric)


def _name_bundle(evaluated: "BundleEvaluation") -> dict[str, Any]:
    manifest = evaluated.bundle.manifest
    return {"bundle": manifest.name, "version": manifest.version}


def _make_metric_fields(metric: "Metric") -> dict[str, Any]:
    return {
        "metric": metric.name,
        "label": metric.label,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "pictures": metric.pictures,
    }


def _make_json(
    evaluation: "Evaluation", metrics: Sequence[tuple["Metric", ...]], seed: int
) -> dict[str, Any]:
    comparison = _compare(evaluation, seed)
    return {
        "pictures": len(evaluation.paths),
        "fingerprint": evaluation.fingerprint,
        "skipped": [
            {"path": format_path(file.path), "reason": file.reason.value, "detail": file.detail}
            for file in evaluation.skipped
        ],
        "bundles": [
            _name_bundle(evaluated) | {"metrics": [_make_metric_fields(metric) for metric in of_bundle]}
            for evaluated, of_bundle in zip(evaluation.bundles, metrics, strict=True)
        ],
        "comparison": comparison
        and _describe_comparison(comparison) | {"differences": list(_list_differences(evaluation))},
    }


def _compare(evaluation: "Evaluation", seed: int) -> "PairedComparison | None":
    from trainer.evaluation.comparison import compare_predictions

    if len(evaluation.bundles) < 2:
        return None
    first, second = evaluation.bundles
    return compare_predictions(first.predictions, second.predictions, seed)


def _describe_comparison(comparison: "PairedComparison") -> dict[str, Any]:
    return {
        "only_first_right": comparison.only_first,
        "only_second_right": comparison.only_second,
        "mcnemar_p": comparison.p_value,
        "gain": comparison.gain,
        "gain_low": comparison.low,
        "gain_high": comparison.high,
    }


def _list_differences(evaluation: "Evaluation") -> Iterator[dict[str, Any]]:
    first, second = (evaluated.predictions for evaluated in evaluation.bundles)
    classes = _list_classes(evaluation)
    first_confidence, second_confidence = first.confidence(), second.confidence()
    for index in (first.predicted != second.predicted).nonzero()[0]:
        yield {
            "path": format_path(evaluation.paths[index]),
            "label": classes[first.labels[index]],
            "first": classes[first.predicted[index]],
            "first_confidence": float(first_confidence[index]),
            "second": classes[second.predicted[index]],
            "second_confidence": float(second_confidence[index]),
        }


def _print_tables(
    evaluation: "Evaluation", data: Path, metrics: Sequence[tuple["Metric", ...]], seed: int
) -> None:
    split = f", its {evaluation.split} split" if evaluation.split else ""
    left_out = f", {len(evaluation.skipped)} files left out" if evaluation.skipped else ""
    folder = escape_unprintable(format_path(data))
    click.echo(f"{len(evaluation.paths)} pictures of {folder}{split}{left_out}")
    for evaluated in evaluation.bundles:
        manifest = evaluated.bundle.manifest
        if manifest.training_data.fingerprint == evaluation.fingerprint:
            click.echo(
                f"{manifest.name} was trained on these very pictures: it will do worse on new ones", err=True
            )
    if len(evaluation.bundles) == 1:
        _print_one(metrics[0])
        _print_coverage(evaluation.bundles[0])
    else:
        _print_two(evaluation, metrics)
        _print_comparison(evaluation, seed)


def _print_one(metrics: tuple["Metric", ...]) -> None:
    print_rows(map(_format_metric, metrics), _TABLE, "table", _TABLE)


def _format_metric(metric: "Metric") -> dict[str, Any]:
    from trainer.evaluation.metrics import format_interval, format_value

    return _make_metric_fields(metric) | {
        "value": format_value(metric, metric.value),
        "95 % interval": format_interval(metric),
    }


def _print_coverage(evaluated: "BundleEvaluation") -> None:
    from trainer.evaluation.coverage import TARGET_ACCURACY, measure_coverage, suggest_threshold

    threshold = suggest_threshold(evaluated.predictions)
    if threshold is None:
        click.echo(f"no min_confidence keeps {TARGET_ACCURACY:.0%} right of these pictures")
        return
    kept = measure_coverage(evaluated.predictions, threshold)
    low, high = kept.interval
    click.echo(
        f"min_confidence = {threshold:.2f} files {kept.coverage:.1%} of them with {kept.accuracy:.1%} right "
        f"({low:.1%} to {high:.1%}), and sends {kept.pictures - kept.kept} to review"
    )


def _print_two(evaluation: "Evaluation", metrics: Sequence[tuple["Metric", ...]]) -> None:
    from trainer.evaluation.metrics import format_interval, format_value

    manifests = [evaluated.bundle.manifest for evaluated in evaluation.bundles]
    names = [f"{manifest.name} {manifest.version}" for manifest in manifests]
    if names[0] == names[1]:
        names = [f"first: {names[0]}", f"second: {names[1]}"]
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for name, of_bundle in zip(names, metrics, strict=True):
        for metric in of_bundle:
            row = rows.setdefault(
                (metric.name, metric.label),
                {"metric": metric.name, "label": metric.label} | dict.fromkeys(names),
            )
            row[name] = f"{format_value(metric, metric.value)} ({format_interval(metric)})"
    print_rows(rows.values(), ("metric", "label", *names), "table", ("metric", "label", *names))


def _print_comparison(evaluation: "Evaluation", seed: int) -> None:
    comparison = _compare(evaluation, seed)
    assert comparison is not None
    differences = list(_list_differences(evaluation))
    if differences:
        print_rows(differences[:_MAX_SHOWN], _DIFFERENCES, "table", _DIFFERENCES)
    if len(differences) > _MAX_SHOWN:
        click.echo(f"and {len(differences) - _MAX_SHOWN} more, which --format json lists")
    click.echo(
        f"they differ on {len(differences)} pictures: {comparison.only_first} only the first has right, "
        f"{comparison.only_second} only the second; McNemar's exact test: p = {comparison.p_value:.3g}"
    )
    click.echo(
        f"accuracy of the second less the first's: {100 * comparison.gain:+.1f} points "
        f"({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
    )
