"""Find the files of each class, and of each split where a person has made folders for them."""

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
    """A file in a class folder: the DATA folder that it is in, and its split where a folder says it."""

    path: Path
    data: Path
    label: str
    split: Split | None


def find_classes(folders: Sequence[Path]) -> dict[str, list[ClassFile]]:
    """Return the files of each class, by its name, over all folders, with the classes in order.

    A folder holds one folder for each class; or `train`, and `valid` (`validation`, `val`) or `test` or
    both, of which each holds one folder for each class. A file that two of the folders lead to is listed
    once. Raises ConfigError where there are not two classes or more.
    """
    files_by_class: dict[str, list[ClassFile]] = {}
    known: set[Path] = set()
    for data in folders:
        for parent, split in _find_splits(data):
            for folder in _list_class_folders(parent):
                files = files_by_class.setdefault(folder.name, [])
                for path in _list_files(folder):
                    # By the folder's real path: the file itself may be a link that somebody wants here.
                    real_path = path.parent.resolve() / path.name
                    if real_path not in known:
                        known.add(real_path)
                        files.append(ClassFile(path, data, folder.name, split))
    if len(files_by_class) < 2:
        count = f"one class folder, {next(iter(files_by_class))}" if files_by_class else "no class folders"
        names = ", ".join(map(format_path, folders))
        raise ConfigError(f"{names}: {count}; put each class's pictures in a folder of its own, two or more")
    return {label: files_by_class[label] for label in sorted(files_by_class)}


def _find_splits(data: Path) -> list[tuple[Path, Split | None]]:
    """Return the folders that hold class folders, with the split that each stands for."""
    children = _list_folders(data)
    split_folders = [(child, _SPLIT_NAMES[child.name]) for child in children if child.name in _SPLIT_NAMES]
    splits = {split for _, split in split_folders}
    # A class may be called `train`, of pictures of trains: then it holds no folders, or stands alone among
    # other names.
    is_split = Split.TRAIN in splits and (len(splits) > 1 or len(children) == 1)
    if not is_split or not all(_list_folders(folder) for folder, _ in split_folders):
        return [(data, None)]
    strangers = [child.name for child in children if child.name not in _SPLIT_NAMES]
    if strangers:
        raise ConfigError(
            f"{format_path(data)}: beside its splits there is {format_path(Path(strangers[0]))}; "
            f"move it elsewhere, or into {format_path(split_folders[0][0])}"
        )
    return [(folder, split) for folder, split in split_folders]


def _list_class_folders(parent: Path) -> Iterator[Path]:
    for folder in _list_folders(parent):
        if encode_undecodable(folder) is not None and encode_undecodable(Path(folder.name)) is not None:
            raise ConfigError(f"{format_path(folder)}: its name is not UTF-8; give the class another name")
        yield folder


_REMEDY = "name a folder that holds one folder for each class"


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


def _list_files(folder: Path) -> Iterator[Path]:
    # Links to folders are not followed: one that leads back up would never end.
    for parent, children, names in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
