"""Find the bundles that are at hand, whole ones and broken ones."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.config import BUILT_IN_BUNDLE, Config
from worker.errors import BundleError, ConfigError
from worker.inference.bundle import MANIFEST_NAME, Manifest, Metric, load_bundle
from worker.paths import format_path


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A bundle that was found; `manifest` is None and `problem` says why where it cannot be used.

    `state` is "in use", "previous" or empty.
    """

    folder: Path
    state: str
    manifest: Manifest | None
    size_bytes: int
    problem: str | None


def find_bundles(config: Config, previous: Path | None, folders: Sequence[Path]) -> list[RegistryEntry]:
    """Return the built-in bundle, the one in use, the previous one, those beside it and those below folders.

    Raises ConfigError for a folder that is none.
    """
    in_use = config.bundle_folder
    found = [BUILT_IN_BUNDLE, in_use, *([previous] if previous else []), *_list_siblings(in_use)]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{format_path(folder)}: is not a folder; name one that has bundles below it")
        found += _find_below(folder.absolute())
    different = {folder.resolve(): folder for folder in reversed(found)}
    states = {previous.resolve(): "previous"} if previous else {}
    states[in_use.resolve()] = "in use"
    return [
        _read_entry(different[key], states.get(key, "")) for key in dict.fromkeys(map(Path.resolve, found))
    ]


def find_accuracy(manifest: Manifest) -> Metric | None:
    """Return the accuracy over all classes, where the bundle's maker has measured it."""
    return next((each for each in manifest.metrics if (each.name, each.label) == ("accuracy", None)), None)


def _list_siblings(folder: Path) -> list[Path]:
    try:
        siblings = sorted(folder.parent.iterdir())
        return [
            each for each in siblings if not each.name.startswith(".") and (each / MANIFEST_NAME).is_file()
        ]
    except OSError:
        return []


def _find_below(folder: Path) -> Iterator[Path]:
    for parent, children, names in os.walk(folder):
        if MANIFEST_NAME in names:
            yield Path(parent)
            children.clear()
        # A draft of a bundle that is being trained is hidden.
        children[:] = sorted(child for child in children if not child.startswith("."))


def _read_entry(folder: Path, state: str) -> RegistryEntry:
    try:
        return RegistryEntry(folder, state, load_bundle(folder).manifest, _measure_size(folder), None)
    except BundleError as error:
        return RegistryEntry(folder, state, None, _measure_size(folder), "; ".join(str(error).splitlines()))


def _measure_size(folder: Path) -> int:
    """Add up the files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total
