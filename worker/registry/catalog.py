"""Find the bundles on this machine, whole ones and broken ones."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.config import BUILT_IN_BUNDLE, Config
from worker.errors import BundleError, ConfigError
from worker.inference.bundle import MANIFEST_NAME, load_bundle
from worker.inference.manifest import Manifest, Metric
from worker.paths import format_path


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A bundle's folder; where it cannot be used, `manifest` is None and `problem` says why.

    `state` is "in use", "previous" or empty.
    """

    folder: Path
    state: str
    manifest: Manifest | None
    size_bytes: int
    problem: str | None


def find_bundles(config: Config, previous: Path | None, folders: Sequence[Path]) -> list[RegistryEntry]:
    """Return the built-in bundle, those in use and in use before, those beside and those below `folders`.

    Raises ConfigError for one of `folders` that is none.
    """
    in_use = config.bundle_folder
    bundles = [BUILT_IN_BUNDLE, in_use, *([previous] if previous else []), *_list_siblings(in_use)]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{format_path(folder)}: is not a folder; name one that has bundles below it")
        bundles += _find_below(folder.absolute())
    states = {previous.resolve(): "previous"} if previous else {}
    states[in_use.resolve()] = "in use"
    # One bundle may be reached by several paths: each is listed once, by the first.
    path_by_target: dict[Path, Path] = {}
    for path in bundles:
        path_by_target.setdefault(path.resolve(), path)
    return [_read_entry(path, states.get(target, "")) for target, path in path_by_target.items()]


def find_accuracy(manifest: Manifest) -> Metric | None:
    """Return the accuracy over all classes, None where the manifest does not hold it."""
    return next(
        (metric for metric in manifest.metrics if (metric.name, metric.label) == ("accuracy", None)), None
    )


def _list_siblings(folder: Path) -> list[Path]:
    try:
        siblings = sorted(path for path in folder.parent.iterdir() if not path.name.startswith("."))
        return [path for path in siblings if (path / MANIFEST_NAME).is_file()]
    except OSError:
        return []


def _find_below(folder: Path) -> Iterator[Path]:
    for parent, children, names in os.walk(folder):
        if MANIFEST_NAME in names:
            yield Path(parent)
            children.clear()
        # Hidden folders are the drafts of bundles that are being built.
        children[:] = sorted(child for child in children if not child.startswith("."))


def _read_entry(folder: Path, state: str) -> RegistryEntry:
    try:
        return RegistryEntry(folder, state, load_bundle(folder).manifest, _measure_size(folder), None)
    except BundleError as error:
        return RegistryEntry(folder, state, None, _measure_size(folder), "; ".join(str(error).splitlines()))


def _measure_size(folder: Path) -> int:
    """Add up the files below a folder; a file that vanishes meanwhile counts as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total
