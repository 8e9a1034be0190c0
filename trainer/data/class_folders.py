"""Find the files of each class, and of each part where a person has divided them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from worker.errors import ConfigError
from worker.paths import encode_undecodable, format_path


class Split(StrEnum):
    """What a picture is for."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


_SPLIT_NAMES = {
    "train": Split.TRAIN,
    "valid": Split.VALID,
    "validation": Split.VALID,
    "val": Split.VALID,
    "test": Split.TEST,
}


@dataclass(frozen=True, slots=True)
class ClassFile:
    """A file in a class folder: the DATA folder that it was found by, and its part where one is given."""

    path: Path
    data: Path
    label: str
    split: Split | None


def find_classes(folders: Sequence[Path]) -> dict[str, list[ClassFile]]:
    """Return the files of each class, by its name, over all folders, with the classes in order.

    A folder holds one folder for each class; or `train`, and `valid` (`validation`, `val`) or `test` or
    both, of which each holds one folder for each class. A file that two of the folders lead to is found
    once. Raises ConfigError where there are not two classes or more.
    """
    found: dict[str, list[ClassFile]] = {}
    seen: set[Path] = set()
    for data in folders:
        for above, part in _find_splits(data):
            for folder in _list_class_folders(above):
                files = found.setdefault(folder.name, [])
                for path in _list_files(folder):
                    # By the folder's real path: the file itself may be a link that somebody wants here.
                    place = path.parent.resolve() / path.name
                    if place not in seen:
                        seen.add(place)
                        files.append(ClassFile(path, data, folder.name, part))
    if len(found) < 2:
        held = f"one class folder, {next(iter(found))}" if found else "no class folders"
        named = ", ".join(map(format_path, folders))
        raise ConfigError(f"{named}: {held}; put each class's pictures in a folder of its own, two or more")
    return {name: found[name] for name in sorted(found)}


def _find_splits(data: Path) -> list[tuple[Path, Split | None]]:
    children = _list_folders(data)
    parts = [(child, _SPLIT_NAMES[child.name]) for child in children if child.name in _SPLIT_NAMES]
    # A class may be called `train`, of pictures of trains: then it holds no folders, or no part is beside it.
    names = {part for _, part in parts}
    is_divided = Split.TRAIN in names and (len(names) > 1 or len(children) == 1)
    if not is_divided or not all(_list_folders(folder) for folder, _ in parts):
        return [(data, None)]
    others = [child.name for child in children if child.name not in _SPLIT_NAMES]
    if others:
        raise ConfigError(
            f"{format_path(data)}: beside the given parts there is {format_path(Path(others[0]))}; "
            f"move it elsewhere, or into {format_path(parts[0][0])}"
        )
    return [(folder, part) for folder, part in parts]


def _list_class_folders(above: Path) -> Iterator[Path]:
    for folder in _list_folders(above):
        if encode_undecodable(folder) is not None and encode_undecodable(Path(folder.name)) is not None:
            raise ConfigError(f"{format_path(folder)}: its name is not UTF-8; give the class another name")
        yield folder


def _list_folders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except NotADirectoryError as error:
        raise ConfigError(f"{format_path(folder)}: is not a folder; {_REMEDY}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{format_path(folder)}: is not a folder, nothing is there; {_REMEDY}") from error
    except OSError as error:
        raise ConfigError(f"{format_path(folder)}: cannot be listed ({error.strerror}); {_REMEDY}") from error
    return [child for child in children if not child.name.startswith(".") and child.is_dir()]


_REMEDY = "name a folder that holds one folder for each class"


def _list_files(folder: Path) -> Iterator[Path]:
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
