"""Say where what is made of the files of class folders goes, so that no two of them share a name."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from trainer.data.class_folders import ClassFile, Split
from worker.errors import ConfigError
from worker.paths import find_free_path, format_path

_NAMELESS = "data"
"""What stands for a DATA folder that has no name of its own, `/` above all."""


def assign_destinations(
    files: Iterable[tuple[ClassFile, Split | None]],
    folders: Sequence[Path],
    make_name: Callable[[str], str] = str,
) -> list[Path]:
    """Give each file a relative path of its own, by its split where it has one, its class and its own path.

    Where there are several DATA folders, those of each are in a folder of its name below the class.
    `make_name` makes a name of the file's; a taken one gets a number.
    """
    sources = _name_sources(folders)
    used_paths: set[Path] = set()
    destinations = []
    for file, split in files:
        below = file.path.relative_to(file.data).parts[1 if file.split is None else 2 :]
        *parents, name = filter(None, (split, file.label, sources[file.data], *below))
        destination = find_free_path(Path(*parents, make_name(name)), used_paths.__contains__)
        used_paths.add(destination)
        destinations.append(destination)
    return destinations


def check_outside(out: Path, folders: Sequence[Path]) -> None:
    """Raise ConfigError where `out` is in one of the folders, of which it would then be a class."""
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"{format_path(out)}: is in {format_path(folder)}; give --out a name outside of it"
            )


def _name_sources(folders: Sequence[Path]) -> dict[Path, str]:
    """Name each DATA folder, all of them differently; one alone needs no name."""
    distinct = list(dict.fromkeys(folders))
    if len(distinct) == 1:
        return {distinct[0]: ""}
    names: dict[Path, str] = {}
    for folder in distinct:
        used_names = {Path(name) for name in names.values()}
        # `find_classes` does not look into hidden folders.
        preferred = Path(folder.resolve().name.lstrip(".") or _NAMELESS)
        names[folder] = find_free_path(preferred, used_names.__contains__).name
    return names
