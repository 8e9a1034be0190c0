"""The rows and sentences in which models are told of."""

from collections.abc import Iterator
from pathlib import Path

from worker.cli.output import Row
from worker.inference.bundle import Bundle, Metric, Stage
from worker.paths import shown
from worker.registry.benchmark import Cost
from worker.registry.catalog import Shelved, overall_accuracy
from worker.registry.reload_signal import Hearing, Told
from worker.registry.switch import Switch

LIST = (
    "state",
    "name",
    "version",
    "classes",
    "stages",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "test_set",
    "test_pictures",
    "size_mb",
    "created_at",
    "folder",
    "problem",
)
LIST_TABLE = (
    "state",
    "name",
    "version",
    "classes",
    "stages",
    "accuracy",
    "size_mb",
    "created_at",
    "folder",
    "problem",
)

STAGES = ("stage", "reads", "size_mb", "file")

METRICS = ("metric", "label", "value", "test_set", "pictures")

COST = (
    "name",
    "version",
    "folder",
    "photos",
    "left_out",
    "load_ms",
    "photo_ms",
    "photo_ms_p95",
    "judge_ms",
    "judge_ms_p95",
    "memory_mb",
)
COST_TABLE = tuple(name for name in COST if name not in ("folder", "left_out"))

_MEGA = 1e6


def list_row(found: Shelved) -> Row:
    """Return a bundle's fields for programs."""
    empty: dict[str, object] = dict.fromkeys(LIST)
    row: dict[str, object] = {
        "state": found.state or None,
        "size_mb": round(found.size_bytes / _MEGA, 1),
        "folder": shown(found.folder),
        "problem": found.problem,
    }
    if manifest := found.manifest:
        row |= {name: getattr(manifest, name) for name in ("name", "version", "created_at")}
        row["classes"] = list(manifest.classes)
        row["stages"] = [
            {"role": each.role, "view": each.view, "reads": _input(each)} for each in manifest.stages
        ]
        if metric := overall_accuracy(manifest):
            row |= {"accuracy": metric.value, "accuracy_low": metric.low, "accuracy_high": metric.high}
            row |= {"test_set": metric.test_set, "test_pictures": metric.pictures}
    return empty | row


def table_row(found: Shelved) -> Row:
    """Return a bundle's fields for people."""
    row = dict(list_row(found)) | {"size_mb": f"{found.size_bytes / _MEGA:.1f}"}
    if manifest := found.manifest:
        row["classes"] = ", ".join(manifest.classes)
        row["stages"] = ", ".join(stage.title for stage in manifest.stages)
        if metric := overall_accuracy(manifest):
            row["accuracy"] = f"{_percent(metric)}, {metric.pictures} of {metric.test_set}"
    return row


def stage_rows(bundle: Bundle) -> Iterator[Row]:
    """Yield each network of a bundle for people: what it reads, and its size."""
    for stage in bundle.manifest.stages:
        size = (bundle.folder / stage.file).stat().st_size / _MEGA
        yield {"stage": stage.title, "reads": _input(stage), "size_mb": f"{size:.2f}", "file": stage.file}


def _input(stage: Stage) -> str:
    return f"{stage.input.width} × {stage.input.height} {stage.input.colour}, {stage.input.resize}"


def metric_row(metric: Metric) -> Row:
    """Return one figure with its interval."""
    row = {"metric": metric.name, "label": metric.label, "value": _percent(metric)}
    return row | {"test_set": metric.test_set, "pictures": metric.pictures}


def _percent(metric: Metric) -> str:
    return f"{metric.value:.1%} ({metric.low:.1%} to {metric.high:.1%})"


def flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each field of a manifest with its dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, tuple) and value and all(isinstance(each, dict) for each in value):
        for index, inner in enumerate(value):
            yield from flat(inner, f"{name}[{index}]")
    elif isinstance(value, tuple):
        yield name, ", ".join(map(str, value))
    else:
        yield name, "" if value is None else str(value)


def sentences(done: Switch, path: Path) -> Iterator[str]:
    """Say what became of a switch, the configuration being `path`."""
    manifest = done.bundle.manifest
    yield f"{manifest.name} {manifest.version} in {shown(done.bundle.folder)} passes its self-test"
    if done.other_classes:
        yield (
            f"its classes are {', '.join(manifest.classes)}, those of the one before "
            f"{', '.join(done.other_classes)}: photos go to other folders from now on"
        )
    if compared := done.comparison:
        yield f"on the test folder it has {compared.new}; the one in use before {compared.old}"
        left_out = f"; {compared.left_out} files are no pictures" if compared.left_out else ""
        yield (
            f"it alone is right on {compared.only_new}, the other alone on {compared.only_old}: "
            f"McNemar's p = {compared.p_value:.2g}{left_out}"
        )
    if done.spelling is None:
        yield "it was in use already; the configuration stays as it is"
    else:
        yield f'wrote model.bundle = "{done.spelling}" into {shown(path)}'
        yield "moodsort model use --previous goes back"
    yield _heard(done.told)


def _heard(told: Told) -> str:
    match told.hearing:
        case Hearing.TOLD:
            return (
                f"told the worker, process {told.process}, to read it; "
                "if it refuses, it goes on with the old one and logs why"
            )
        case Hearing.NOBODY:
            return "no worker is running here; the next one starts with it"
        case Hearing.FORBIDDEN:
            # The number in the lock is not told: it may be of another machine, and name anybody here.
            return "the worker is another user's, so it was not told: send it SIGHUP as that user"
        case Hearing.UNKNOWN:
            return "a worker is running whose process is not known here: send it SIGHUP, or start it again"


def cost_row(cost: Cost) -> Row:
    """Return what a bundle costs, in milliseconds and megabytes."""
    manifest = cost.bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "folder": shown(cost.bundle.folder),
        "photos": cost.photos,
        "left_out": cost.left_out,
        "load_ms": round(cost.load_seconds * 1e3, 1),
        "photo_ms": round(cost.photo.median * 1e3, 2),
        "photo_ms_p95": round(cost.photo.p95 * 1e3, 2),
        "judge_ms": round(cost.judge.median * 1e3, 2),
        "judge_ms_p95": round(cost.judge.p95 * 1e3, 2),
        "memory_mb": round(cost.memory_bytes / _MEGA, 1),
    }
