"""Rows and sentences that describe bundles."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from worker.cli.output import Row
from worker.inference.bundle import Bundle
from worker.inference.manifest import Metric, NetworkSpec
from worker.paths import format_path
from worker.registry.benchmark import Cost
from worker.registry.catalog import RegistryEntry, find_accuracy
from worker.registry.reload_signal import ReloadResult, ReloadStatus
from worker.registry.switch import SwitchResult

LIST = (
    "state",
    "name",
    "version",
    "classes",
    "networks",
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
    "networks",
    "accuracy",
    "size_mb",
    "created_at",
    "folder",
    "problem",
)

NETWORKS = ("network", "reads", "size_mb", "file")

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
    "predict_ms",
    "predict_ms_p95",
    "memory_mb",
)
COST_TABLE = tuple(name for name in COST if name not in ("folder", "left_out"))

_MEGA = 1e6


def make_list_row(entry: RegistryEntry) -> Row:
    """Return a bundle's fields for programs."""
    empty: dict[str, object] = dict.fromkeys(LIST)
    row: dict[str, object] = {
        "state": entry.state or None,
        "size_mb": round(entry.size_bytes / _MEGA, 3),
        "folder": format_path(entry.folder),
        "problem": entry.problem,
    }
    if manifest := entry.manifest:
        row |= {name: getattr(manifest, name) for name in ("name", "version", "created_at")}
        row["classes"] = list(manifest.classes)
        row["networks"] = [
            {"network": network.title, "reads": _describe_input(network)} for network in manifest.networks
        ]
        if metric := find_accuracy(manifest):
            row |= {"accuracy": metric.value, "accuracy_low": metric.low, "accuracy_high": metric.high}
            row |= {"test_set": metric.test_set, "test_pictures": metric.pictures}
    return empty | row


def make_table_row(entry: RegistryEntry) -> Row:
    """Return a bundle's fields for people."""
    row = dict(make_list_row(entry))
    if manifest := entry.manifest:
        row["created_at"] = parse_creation(manifest.created_at)
        row["classes"] = ", ".join(manifest.classes)
        row["networks"] = ", ".join(network.title for network in manifest.networks)
        if metric := find_accuracy(manifest):
            row["accuracy"] = f"{_format_percent(metric)}, {metric.pictures} of {metric.test_set}"
    return row


def make_network_rows(bundle: Bundle) -> Iterator[Row]:
    """Yield each network of a bundle for people: what it reads, and its size."""
    for network in bundle.manifest.networks:
        yield {
            "network": network.title,
            "reads": _describe_input(network),
            "size_mb": (bundle.folder / network.file).stat().st_size / _MEGA,
            "file": network.file,
        }


def _describe_input(network: NetworkSpec) -> str:
    spec = network.input
    return f"{spec.width} × {spec.height} {spec.colour}, {spec.resize}"


def make_metric_row(metric: Metric) -> Row:
    """Return one metric with its interval."""
    row = {"metric": metric.name, "label": metric.label, "value": _format_percent(metric)}
    return row | {"test_set": metric.test_set, "pictures": metric.pictures}


def _format_percent(metric: Metric) -> str:
    return f"{metric.value:.1%} ({metric.low:.1%} to {metric.high:.1%})"


def parse_creation(text: str) -> datetime | str:
    """Return a manifest's `created_at` as a time for people; as it is where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def flatten(value: object, name: str = "") -> Iterator[tuple[str, str | datetime]]:
    """Yield each field of a manifest with its dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, tuple) and value and all(isinstance(item, dict) for item in value):
        for index, inner in enumerate(value):
            yield from flatten(inner, f"{name}[{index}]")
    elif isinstance(value, tuple):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, datetime):
        yield name, value
    else:
        yield name, "" if value is None else str(value)


def describe_switch(result: SwitchResult, path: Path) -> Iterator[str]:
    """Yield sentences about a switch; `path` is the configuration file."""
    manifest = result.bundle.manifest
    yield f"{manifest.name} {manifest.version} in {format_path(result.bundle.folder)} passes its self-test"
    if result.other_classes:
        yield (
            f"its classes are {', '.join(manifest.classes)}, those of the one in use before "
            f"{', '.join(result.other_classes)}: photos go to other folders from now on"
        )
    if comparison := result.comparison:
        if comparison.other_folders:
            yield f"left out {', '.join(comparison.other_folders)}: not classes of the bundle"
        yield f"on the test folder it has {comparison.new}; the one in use before {comparison.old}"
        left_out = f"; {comparison.left_out} files cannot be read" if comparison.left_out else ""
        yield (
            f"it alone is right on {comparison.only_new}, the other alone on {comparison.only_old}: "
            f"McNemar's p = {comparison.p_value:.2g}{left_out}"
        )
    if result.spelling is None:
        yield "it was in use already; the configuration stays as it is"
    else:
        yield f'wrote model.bundle = "{result.spelling}" into {format_path(path)}'
        yield "moodsort model use --previous goes back"
    yield _describe_reload(result.reload)


def _describe_reload(reload: ReloadResult) -> str:
    match reload.status:
        case ReloadStatus.SENT:
            return (
                f"told the worker, process {reload.process}, to load it; "
                "if it refuses, it goes on with the old one and logs why"
            )
        case ReloadStatus.NO_WORKER:
            return "no worker is running here; the next one starts with it"
        case ReloadStatus.FORBIDDEN:
            # Without the id in the lock: it may be from another machine, and name any process here.
            return "the worker is another user's, so it was not told: send it SIGHUP as that user"
        case ReloadStatus.UNKNOWN_PROCESS:
            return "a worker is running whose process is not known here: send it SIGHUP, or restart it"


def make_cost_row(cost: Cost) -> Row:
    """Return what a bundle costs, in milliseconds and megabytes."""
    manifest = cost.bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "folder": format_path(cost.bundle.folder),
        "photos": cost.photos,
        "left_out": cost.left_out,
        "load_ms": round(cost.load_seconds * 1e3, 3),
        "photo_ms": round(cost.photo.median * 1e3, 3),
        "photo_ms_p95": round(cost.photo.p95 * 1e3, 3),
        "predict_ms": round(cost.predict.median * 1e3, 3),
        "predict_ms_p95": round(cost.predict.p95 * 1e3, 3),
        "memory_mb": round(cost.memory_bytes / _MEGA, 3),
    }
