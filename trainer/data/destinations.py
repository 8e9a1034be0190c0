"""Say where what is made of the files of class folders goes, so that no two of them share a name."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from trainer.data.class_folders import ClassFile, Split
from worker.errors import ConfigError
from worker.paths import format_path, number_name

_NAMELESS = "data"


def assign_destinations(
    files: Iterable[tuple[ClassFile, Split | None]],
    folders: Sequence[Path],
    named: Callable[[str], str] = str,
) -> list[Path]:
    """Give each file a relative path of its own, by its part where it has one, its class and its own path.

    Where there are several DATA folders, those of each are in a folder of its name below the class. `named`
    makes a name of the file's; a taken one gets a number.
    """
    sources = _name_sources(folders)
    taken: set[Path] = set()
    found = []
    for file, part in files:
        below = file.path.relative_to(file.data).parts[1 if file.split is None else 2 :]
        *above, name = filter(None, (part, file.label, sources[file.data], *below))
        place = _find_free(Path(*above, named(name)), taken)
        taken.add(place)
        found.append(place)
    return found


def check_outside(out: Path, folders: Sequence[Path]) -> None:
    """Raise ConfigError where `out` is in one of the folders, of which it would then be a class."""
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"{format_path(out)}: is in {format_path(folder)}; give --out a name outside of it"
            )


def _name_sources(folders: Sequence[Path]) -> dict[Path, str]:
    several = len(set(folders)) > 1
    names: dict[Path, str] = {}
    for folder in folders:
        # A hidden folder would not be looked into.
        wanted = folder.resolve().name.lstrip(".") or _NAMELESS
        if folder not in names:
            taken = {Path(name) for name in names.values()}
            names[folder] = _find_free(Path(wanted), taken).name if several else ""
    return names


def _find_free(wanted: Path, taken: set[Path]) -> Path:
    place, number = wanted, 1
    while place in taken:
        number += 1
        place = wanted.with_name(number_name(wanted.name, number))
    return place
