"""Write `model.bundle` into the configuration file, and remember what it was before."""

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit

from worker.config import BUILT_IN_BUNDLE, DEFAULT_NAME, find_config
from worker.errors import ConfigError
from worker.fileio import replace_file
from worker.paths import encode_undecodable, format_path

BUILT_IN = "default"
"""The name of the bundle that ships with moodsort, in the configuration."""

Replace = Callable[[Path, Path], None]

_HEADER = re.compile(r"^[ \t]*\[[ \t]*model[ \t]*\][^\r\n]*", re.MULTILINE)

_HISTORY_LENGTH = 10


def find_setting_file(config_file: Path | None) -> Path:
    """Return the configuration file to write, absolute: the one that is read, else ./config.toml."""
    return (find_config(config_file) or Path(DEFAULT_NAME)).absolute()


def find_history_file(path: Path) -> Path:
    """Return the file beside the configuration that holds the bundles that were in use before.

    It is a JSON list of folders, spelled as in the configuration, the latest at its end.
    """
    return path.with_name(f".{path.name}.models")


def find_previous_bundle(path: Path, in_use: Path) -> Path | None:
    """Return the folder that was in use before the present one; None where there is none."""
    for spelling in reversed(_read_history(path)):
        folder = BUILT_IN_BUNDLE if spelling == BUILT_IN else path.parent / spelling
        if folder.resolve() != in_use.resolve():
            return folder
    return None


def set_bundle(path: Path, in_use: Path, folder: Path, replace: Replace = os.replace) -> str:
    """Make `folder` the bundle that the configuration names; return how it is spelled there.

    Raises ConfigError where a file cannot be written; the configuration is as it was then.
    """
    spelling = spell_folder(folder, path.parent)
    text = replace_bundle_key(_read_setting(path), spelling, path)
    latest = spell_folder(in_use, path.parent)
    history = [*(earlier for earlier in _read_history(path) if earlier != latest), latest][-_HISTORY_LENGTH:]
    # The history first: should the second write fail, its latest entry is still in use, and is passed over.
    write_setting(find_history_file(path), json.dumps(history, ensure_ascii=False) + "\n", replace)
    write_setting(path, text, replace)
    return spelling


def spell_folder(folder: Path, base: Path) -> str:
    """Return how a configuration in the folder `base` names a bundle: relative to it where that is possible.

    Raises ConfigError for a name that TOML cannot hold.
    """
    if folder.resolve() == BUILT_IN_BUNDLE.resolve():
        return BUILT_IN
    if encode_undecodable(folder) is not None:
        raise ConfigError(f"{format_path(folder)}: its name is not UTF-8, so TOML cannot hold it; rename it")
    absolute = folder.resolve() if ".." in folder.parts else folder.absolute()
    if not absolute.is_relative_to(base):
        return str(absolute)
    relative = str(absolute.relative_to(base))
    if relative.startswith("~"):  # would be read as somebody's home folder
        return str(absolute)
    return f"./{relative}" if relative == BUILT_IN else relative


def replace_bundle_key(text: str, spelling: str, path: Path) -> str:
    """Return the configuration's text with `model.bundle` changed, and nothing else. Raises ConfigError."""
    # Comments and order are worth keeping, so the text is edited, and read again to see that it was right.
    changed = _change_key(text, spelling)
    expected: dict[str, Any] = tomllib.loads(text)
    expected.setdefault("model", {})["bundle"] = spelling
    if tomllib.loads(changed) != expected:
        value = tomlkit.item(spelling).as_string()
        raise ConfigError(
            f"{format_path(path)}: cannot be changed safely; write model.bundle = {value} by hand"
        )
    return changed


def write_setting(path: Path, text: str, replace: Replace = os.replace) -> None:
    """Write a file, whole or not at all; a symbolic link stays one. Raises ConfigError."""
    try:
        replace_file(path.resolve(), text.encode(), replace=replace)
    except OSError as error:
        raise ConfigError(
            f"{format_path(path)}: cannot be written ({error.strerror}), so the model in use stays; "
            "check its folder's permissions and the disk"
        ) from error


def _change_key(text: str, spelling: str) -> str:
    document = tomlkit.parse(text)
    model = document.setdefault("model", tomlkit.table())
    header = _HEADER.search(text)
    if header and "bundle" not in model:
        # Just below the header: at the table's end it would come after the comments about the next table.
        newline = "\r\n" if text.startswith("\r\n", header.end()) else "\n"
        line = f"bundle = {tomlkit.item(spelling).as_string()}"
        return text[: header.end()] + newline + line + text[header.end() :]
    model["bundle"] = spelling
    return document.as_string()


def _read_history(path: Path) -> list[str]:
    file = find_history_file(path)
    try:
        history = json.loads(file.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"{format_path(file)}: cannot be read ({error.strerror}); check what it is"
        ) from error
    except ValueError:
        history = None
    if not isinstance(history, list) or not all(map(_is_path, history)):
        raise ConfigError(
            f"{format_path(file)}: is not a list of bundles; delete it, or name a bundle to use"
        )
    return history


def _is_path(value: object) -> bool:
    # For a path with a NUL Python raises ValueError rather than OSError.
    return isinstance(value, str) and "\0" not in value


def _read_setting(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(
            f"{format_path(path)}: cannot be read ({error.strerror}); check what it is"
        ) from error
