"""Show an evaluation as tables for people, and as rows and JSON for programs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from trainer.cli.messages import say
from trainer.evaluation.bundle_evaluation import BundleEvaluation, Evaluation
from trainer.evaluation.comparison import PairedComparison, compare_predictions
from trainer.evaluation.coverage import TARGET_ACCURACY, measure_coverage, suggest_threshold
from trainer.evaluation.metrics import format_interval, format_value
from worker.cli.output import Row, print_rows
from worker.inference.manifest import Metric
from worker.paths import escape_unprintable, format_path

METRIC_COLUMNS = ("bundle", "version", "metric", "label", "value", "low", "high", "pictures")

_TABLE_COLUMNS = ("metric", "label", "value", "95 % interval", "pictures")
_DIFFERENCE_COLUMNS = ("path", "label", "first", "first_confidence", "second", "second_confidence")

_MAX_DIFFERENCES = 50
"""In the table; JSON lists all."""

Metrics = tuple[Metric, ...]


def make_metric_rows(evaluation: Evaluation, metrics: Sequence[Metrics]) -> Iterator[Row]:
    """Return one row for each metric of each bundle, in `METRIC_COLUMNS`."""
    for evaluated, bundle_metrics in zip(evaluation.bundles, metrics, strict=True):
        for metric in bundle_metrics:
            yield _name_bundle(evaluated) | _make_metric_fields(metric)


def make_json(evaluation: Evaluation, metrics: Sequence[Metrics], seed: int) -> dict[str, Any]:
    """Return the whole evaluation, the comparison of two bundles included, as JSON has it."""
    comparison = compare_bundles(evaluation, seed)
    return {
        "pictures": len(evaluation.paths),
        "fingerprint": evaluation.fingerprint,
        "skipped": [
            {"path": format_path(file.path), "reason": file.reason.value, "detail": file.detail}
            for file in evaluation.skipped
        ],
        "bundles": [
            _name_bundle(evaluated) | {"metrics": [_make_metric_fields(metric) for metric in bundle_metrics]}
            for evaluated, bundle_metrics in zip(evaluation.bundles, metrics, strict=True)
        ],
        "comparison": comparison
        and _make_comparison_fields(comparison) | {"differences": list(_list_differences(evaluation))},
    }


def print_tables(evaluation: Evaluation, data: Path, metrics: Sequence[Metrics], seed: int) -> None:
    """Print the metrics, and the coverage of one bundle or the comparison of two."""
    split = f", its {evaluation.split} split" if evaluation.split else ""
    skipped = f", {len(evaluation.skipped)} files skipped" if evaluation.skipped else ""
    click.echo(f"{len(evaluation.paths)} pictures of {escape_unprintable(format_path(data))}{split}{skipped}")
    for evaluated in evaluation.bundles:
        manifest = evaluated.bundle.manifest
        if manifest.training_data.fingerprint == evaluation.fingerprint:
            say(f"{manifest.name} was trained on these very pictures: expect lower accuracy on new ones")
    comparison = compare_bundles(evaluation, seed)
    if comparison is None:
        print_rows(map(_format_metric, metrics[0]), _TABLE_COLUMNS, "table", _TABLE_COLUMNS)
        _print_coverage(evaluation.bundles[0])
    else:
        _print_metrics_of_two(evaluation, metrics)
        _print_comparison(evaluation, comparison)


def _name_bundle(evaluated: BundleEvaluation) -> dict[str, Any]:
    manifest = evaluated.bundle.manifest
    return {"bundle": manifest.name, "version": manifest.version}


def _make_metric_fields(metric: Metric) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "label": metric.label,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "pictures": metric.pictures,
    }


def compare_bundles(evaluation: Evaluation, seed: int) -> PairedComparison | None:
    """Compare two bundles; None for one."""
    if len(evaluation.bundles) < 2:
        return None
    first, second = evaluation.bundles
    return compare_predictions(first.predictions, second.predictions, seed)


def _make_comparison_fields(comparison: PairedComparison) -> dict[str, Any]:
    return {
        "only_first_right": comparison.only_first,
        "only_second_right": comparison.only_second,
        "mcnemar_p": comparison.p_value,
        "gain": comparison.gain,
        "gain_low": comparison.low,
        "gain_high": comparison.high,
    }


def _list_differences(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Return a row for each picture that two bundles give different labels."""
    first, second = (evaluated.predictions for evaluated in evaluation.bundles)
    classes = evaluation.bundles[0].bundle.manifest.classes
    first_confidence, second_confidence = first.confidence, second.confidence
    for index in (first.predicted != second.predicted).nonzero()[0]:
        yield {
            "path": format_path(evaluation.paths[index]),
            "label": classes[first.labels[index]],
            "first": classes[first.predicted[index]],
            "first_confidence": float(first_confidence[index]),
            "second": classes[second.predicted[index]],
            "second_confidence": float(second_confidence[index]),
        }


def _format_metric(metric: Metric) -> Row:
    return _make_metric_fields(metric) | {
        "value": format_value(metric, metric.value),
        "95 % interval": format_interval(metric),
    }


def _print_coverage(evaluated: BundleEvaluation) -> None:
    threshold = suggest_threshold(evaluated.predictions)
    if threshold is None:
        click.echo(f"no min_confidence reaches an accuracy of {TARGET_ACCURACY:.0%} on these pictures")
        return
    coverage = measure_coverage(evaluated.predictions, threshold)
    low, high = coverage.interval
    in_review = coverage.total - coverage.covered
    click.echo(
        f"min_confidence = {threshold:.2f} files {coverage.share:.1%} of them with an accuracy of "
        f"{coverage.accuracy:.1%} ({low:.1%} to {high:.1%}), and sends {in_review} to review"
    )


def _print_metrics_of_two(evaluation: Evaluation, metrics: Sequence[Metrics]) -> None:
    names = evaluation.name_bundles()
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for name, bundle_metrics in zip(names, metrics, strict=True):
        for metric in bundle_metrics:
            # A metric may be defined for one bundle alone: the other's cell then stays empty.
            empty_row = {"metric": metric.name, "label": metric.label} | dict.fromkeys(names)
            row = rows.setdefault((metric.name, metric.label), empty_row)
            row[name] = f"{format_value(metric, metric.value)} ({format_interval(metric)})"
    columns = ("metric", "label", *names)
    print_rows(rows.values(), columns, "table", columns)


def _print_comparison(evaluation: Evaluation, comparison: PairedComparison) -> None:
    differences = list(_list_differences(evaluation))
    if differences:
        print_rows(differences[:_MAX_DIFFERENCES], _DIFFERENCE_COLUMNS, "table", _DIFFERENCE_COLUMNS)
    if len(differences) > _MAX_DIFFERENCES:
        click.echo(f"and {len(differences) - _MAX_DIFFERENCES} more, which --format json lists")
    click.echo(
        f"they differ on {len(differences)} pictures: {comparison.only_first} only the first has right, "
        f"{comparison.only_second} only the second; McNemar's exact test: p = {comparison.p_value:.3g}"
    )
    click.echo(
        f"accuracy of the second minus the first's: {100 * comparison.gain:+.1f} points "
        f"({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
    )
