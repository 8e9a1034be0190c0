"""The command `moodsort evaluate`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import worker
from trainer.cli import require_libraries, shown_command
from worker.cli import config_option
from worker.cli.output import format_option, print_rows
from worker.config import load_config
from worker.paths import printable, shown

if TYPE_CHECKING:
    from trainer.evaluation.comparison import Comparison
    from trainer.evaluation.judging import Limits, Outcome
    from trainer.pipelines.evaluate import Trial, Trials
    from worker.inference.bundle import Metric

_COLUMNS = ("bundle", "version", "metric", "label", "value", "low", "high", "pictures")
_TABLE = ("metric", "label", "value", "95 % interval", "pictures")
_DIFFERING = ("path", "label", "first", "first_confidence", "second", "second_confidence")

_SHOWN_DIFFERING = 50

_BUILT_IN = "default"


@click.command()
@click.argument("bundle", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--report", type=click.Path(path_type=Path), help="Write a page with figures into this folder.")
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

    DATA is a folder that holds one folder of pictures for each class of the BUNDLE. Of one that is divided
    into train, valid and test, the test is taken. The bundle judges as in the worker, under the limits of
    its configuration, and every figure comes with its 95 % interval. Of two bundles, McNemar's exact test
    says whether one is better.
    """
    if len(bundle) > 2:
        raise click.UsageError(f"{len(bundle)} bundles; name one, or two to compare")
    if report is not None and len(bundle) == 2:
        raise click.UsageError("--report is of one bundle; leave the other out")
    require_libraries("evaluation", ("scipy", *(("matplotlib", "jinja2") if report else ())))
    from trainer.evaluation.metrics import measured
    from trainer.pipelines.evaluate import try_bundles

    folders = [_found(folder) for folder in bundle]
    trials = try_bundles(folders, data, _telling(), _limits(config_file))
    found = [measured(trial.answers, _classes(trials), "", seed) for trial in trials.trials]
    if output_format == "json":
        click.echo(json.dumps(_as_json(trials, found, seed), ensure_ascii=False, indent=2))
    elif output_format == "table":
        _print_tables(trials, data, found, seed)
    else:
        print_rows(_rows(trials, found), _COLUMNS, output_format, _COLUMNS)
    if report is not None:
        from trainer.report import write_report
        from trainer.report.evaluation_study import study_of_trial

        study = study_of_trial(trials, data, found[0], shown_command(), with_pictures=not no_pictures)
        write_report(report, study)
        click.echo(f"wrote {shown(report / 'index.html')}", err=True)


def _found(folder: Path) -> Path:
    """Return the built-in bundle's folder for its name, unless a folder here has it."""
    if folder == Path(_BUILT_IN) and not folder.exists():
        return Path(worker.__file__).parent / "bundles" / _BUILT_IN
    return folder


def _limits(config_file: Path | None) -> "Limits":
    from trainer.evaluation.judging import Limits

    limits = load_config(config_file).limits
    return Limits(limits.max_file_bytes, limits.max_pixels, limits.memory_bytes, limits.decode_seconds)


def _classes(trials: "Trials") -> tuple[str, ...]:
    return trials.trials[0].bundle.manifest.classes


def _telling() -> Any:
    from trainer.evaluation.judging import Unjudged

    def tell(outcome: "Outcome") -> None:
        if isinstance(outcome, Unjudged):
            click.echo(
                printable(f"left out {shown(outcome.path)}: {outcome.detail} ({outcome.reason})"), err=True
            )

    return tell


def _rows(trials: "Trials", found: list[tuple["Metric", ...]]) -> Iterator[dict[str, Any]]:
    for trial, metrics in zip(trials.trials, found, strict=True):
        for metric in metrics:
            yield _named(trial) | _figure(metric)


def _named(trial: "Trial") -> dict[str, Any]:
    manifest = trial.bundle.manifest
    return {"bundle": manifest.name, "version": manifest.version}


def _figure(metric: "Metric") -> dict[str, Any]:
    return {
        "metric": metric.name,
        "label": metric.label,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "pictures": metric.pictures,
    }


def _as_json(trials: "Trials", found: list[tuple["Metric", ...]], seed: int) -> dict[str, Any]:
    comparison = _comparison(trials, seed)
    return {
        "pictures": len(trials.paths),
        "fingerprint": trials.fingerprint,
        "unjudged": [
            {"path": shown(each.path), "reason": each.reason, "detail": each.detail}
            for each in trials.unjudged
        ],
        "bundles": [
            _named(trial) | {"metrics": [_figure(metric) for metric in metrics]}
            for trial, metrics in zip(trials.trials, found, strict=True)
        ],
        "comparison": comparison and _compared(comparison) | {"differing": list(_differing(trials))},
    }


def _comparison(trials: "Trials", seed: int) -> "Comparison | None":
    from trainer.evaluation.comparison import compared

    if len(trials.trials) < 2:
        return None
    first, second = trials.trials
    return compared(first.answers, second.answers, seed)


def _compared(comparison: "Comparison") -> dict[str, Any]:
    return {
        "only_first_right": comparison.only_first,
        "only_second_right": comparison.only_second,
        "mcnemar_p": comparison.p_value,
        "gain": comparison.gain,
        "gain_low": comparison.low,
        "gain_high": comparison.high,
    }


def _differing(trials: "Trials") -> Iterator[dict[str, Any]]:
    first, second = (trial.answers for trial in trials.trials)
    classes = _classes(trials)
    sure = first.confidence(), second.confidence()
    for place in (first.predicted != second.predicted).nonzero()[0]:
        yield {
            "path": shown(trials.paths[place]),
            "label": classes[first.labels[place]],
            "first": classes[first.predicted[place]],
            "first_confidence": float(sure[0][place]),
            "second": classes[second.predicted[place]],
            "second_confidence": float(sure[1][place]),
        }


def _print_tables(trials: "Trials", data: Path, found: list[tuple["Metric", ...]], seed: int) -> None:
    part = f", its {trials.part} part" if trials.part else ""
    left_out = f", {len(trials.unjudged)} files left out" if trials.unjudged else ""
    click.echo(f"{len(trials.paths)} pictures of {printable(shown(data))}{part}{left_out}")
    for trial in trials.trials:
        if trial.bundle.manifest.training_data.fingerprint == trials.fingerprint:
            name = trial.bundle.manifest.name
            click.echo(f"{name} was trained on these very pictures: it will do worse on new ones", err=True)
    if len(trials.trials) == 1:
        _print_one(found[0])
        _print_coverage(trials.trials[0])
    else:
        _print_two(trials, found)
        _print_comparison(trials, seed)


def _print_one(metrics: tuple["Metric", ...]) -> None:
    print_rows(map(_shown_figure, metrics), _TABLE, "table", _TABLE)


def _shown_figure(metric: "Metric") -> dict[str, Any]:
    from trainer.evaluation.metrics import shown_interval, shown_value

    return _figure(metric) | {
        "value": shown_value(metric, metric.value),
        "95 % interval": shown_interval(metric),
    }


def _print_coverage(trial: "Trial") -> None:
    from trainer.evaluation.coverage import TARGET_ACCURACY, kept_at, suggested_threshold

    threshold = suggested_threshold(trial.answers)
    if threshold is None:
        click.echo(f"no min_confidence keeps {TARGET_ACCURACY:.0%} right of these pictures")
        return
    kept = kept_at(trial.answers, threshold)
    low, high = kept.interval
    click.echo(
        f"min_confidence = {threshold:.2f} files {kept.coverage:.1%} of them with {kept.accuracy:.1%} right "
        f"({low:.1%} to {high:.1%}), and sends {kept.pictures - kept.kept} to review"
    )


def _print_two(trials: "Trials", found: list[tuple["Metric", ...]]) -> None:
    from trainer.evaluation.metrics import shown_interval, shown_value

    names = [f"{trial.bundle.manifest.name} {trial.bundle.manifest.version}" for trial in trials.trials]
    if names[0] == names[1]:
        names = [f"first: {names[0]}", f"second: {names[1]}"]
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for name, metrics in zip(names, found, strict=True):
        for metric in metrics:
            row = rows.setdefault(
                (metric.name, metric.label),
                {"metric": metric.name, "label": metric.label} | dict.fromkeys(names),
            )
            row[name] = f"{shown_value(metric, metric.value)} ({shown_interval(metric)})"
    print_rows(rows.values(), ("metric", "label", *names), "table", ("metric", "label", *names))


def _print_comparison(trials: "Trials", seed: int) -> None:
    comparison = _comparison(trials, seed)
    assert comparison is not None
    differing = list(_differing(trials))
    if differing:
        print_rows(differing[:_SHOWN_DIFFERING], _DIFFERING, "table", _DIFFERING)
    if len(differing) > _SHOWN_DIFFERING:
        click.echo(f"and {len(differing) - _SHOWN_DIFFERING} more, which --format json lists")
    click.echo(
        f"they differ on {len(differing)} pictures: {comparison.only_first} only the first has right, "
        f"{comparison.only_second} only the second; McNemar's exact test: p = {comparison.p_value:.3g}"
    )
    click.echo(
        f"accuracy of the second less the first's: {100 * comparison.gain:+.1f} points "
        f"({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
    )
