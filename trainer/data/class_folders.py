"""Find the files of each class, and of each part where a person has divided them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from worker.errors import ConfigError
from worker.paths import raw, shown


class Part(StrEnum):
    """What a picture is for."""

    TRAINING = "train"
    VALIDATION = "valid"
    TEST = "test"


_PART_NAMES = {
    "train": Part.TRAINING,
    "valid": Part.VALIDATION,
    "validation": Part.VALIDATION,
    "val": Part.VALIDATION,
    "test": Part.TEST,
}


@dataclass(frozen=True, slots=True)
class ClassFile:
    """A file in a class folder: the DATA folder that it was found by, and its part where one is given."""

    path: Path
    data: Path
    label: str
    part: Part | None


def find_classes(folders: Sequence[Path]) -> dict[str, list[ClassFile]]:
    """Return the files of each class, by its name, over all folders, with the classes in order.

    A folder holds one folder for each class; or `train`, and `valid` (`validation`, `val`) or `test` or
    both, of which each holds one folder for each class. A file that two of the folders lead to is found
    once. Raises ConfigError where there are not two classes or more.
    """
    found: dict[str, list[ClassFile]] = {}
    seen: set[Path] = set()
    for data in folders:
        for above, part in _parts(data):
            for folder in _class_folders(above):
                files = found.setdefault(folder.name, [])
                for path in _files(folder):
                    # By the folder's real path: the file itself may be a link that somebody wants here.
                    place = path.parent.resolve() / path.name
                    if place not in seen:
                        seen.add(place)
                        files.append(ClassFile(path, data, folder.name, part))
    if len(found) < 2:
        held = f"one class folder, {next(iter(found))}" if found else "no class folders"
        named = ", ".join(map(shown, folders))
        raise ConfigError(f"{named}: {held}; put each class's pictures in a folder of its own, two or more")
    return {name: found[name] for name in sorted(found)}


def _parts(data: Path) -> list[tuple[Path, Part | None]]:
    children = _folders(data)
    parts = [(child, _PART_NAMES[child.name]) for child in children if child.name in _PART_NAMES]
    # A class may be called `train`, of pictures of trains: then it holds no folders, or no part is beside it.
    names = {part for _, part in parts}
    is_divided = Part.TRAINING in names and (len(names) > 1 or len(children) == 1)
    if not is_divided or not all(_folders(folder) for folder, _ in parts):
        return [(data, None)]
    others = [child.name for child in children if child.name not in _PART_NAMES]
    if others:
        raise ConfigError(
            f"{shown(data)}: beside the given parts there is {shown(Path(others[0]))}; "
            f"move it elsewhere, or into {shown(parts[0][0])}"
        )
    return [(folder, part) for folder, part in parts]


def _class_folders(above: Path) -> Iterator[Path]:
    for folder in _folders(above):
        if raw(folder) is not None and raw(Path(folder.name)) is not None:
            raise ConfigError(f"{shown(folder)}: its name is not UTF-8; give the class another name")
        yield folder


def _folders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except NotADirectoryError as error:
        raise ConfigError(f"{shown(folder)}: is not a folder; {_REMEDY}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{shown(folder)}: is not a folder, nothing is there; {_REMEDY}") from error
    except OSError as error:
        raise ConfigError(f"{shown(folder)}: cannot be listed ({error.strerror}); {_REMEDY}") from error
    return [child for child in children if not child.name.startswith(".") and child.is_dir()]


_REMEDY = "name a folder that holds one folder for each class"


def _files(folder: Path) -> Iterator[Path]:
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
