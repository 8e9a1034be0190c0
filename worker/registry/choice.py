"""Write `model.bundle` into the configuration file, and remember what it was before."""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit

from worker.config import BUILT_IN_BUNDLE, DEFAULT_NAME, config_path
from worker.errors import ConfigError
from worker.paths import raw, shown

BUILT_IN = "default"
"""How the configuration names the bundle that ships with moodsort."""

Replace = Callable[[Path, Path], None]

_HEADER = re.compile(r"^[ \t]*\[[ \t]*model[ \t]*\][^\r\n]*", re.MULTILINE)

_REMEMBERED = 10


def setting_path(given: Path | None) -> Path:
    """Return the configuration file to write, absolute: the one that is read, else ./config.toml."""
    return (config_path(given) or Path(DEFAULT_NAME)).absolute()


def history_path(path: Path) -> Path:
    """Return the file beside the configuration that remembers the bundles that were in use before.

    It is a JSON list of folders, spelled as in the configuration, the one that was left last at its end.
    """
    return path.with_name(f".{path.name}.models")


def previous_bundle(path: Path, in_use: Path) -> Path | None:
    """Return the folder that was left last for another; None where there is none."""
    for spelling in reversed(_remembered(path)):
        folder = BUILT_IN_BUNDLE if spelling == BUILT_IN else path.parent / spelling
        if folder.resolve() != in_use.resolve():
            return folder
    return None


def set_bundle(path: Path, in_use: Path, folder: Path, replace: Replace = os.replace) -> str:
    """Make `folder` the bundle that the configuration names; return how it is spelled there.

    The one in use is remembered first: what is remembered and still in use counts as none. Raises
    ConfigError where a file cannot be written; the configuration is as it was then.
    """
    spelling = spelled(folder, path.parent)
    text = with_bundle(_text(path), spelling, path)
    left = spelled(in_use, path.parent)
    history = [*(other for other in _remembered(path) if other != left), left]
    write_whole(history_path(path), json.dumps(history[-_REMEMBERED:], ensure_ascii=False) + "\n", replace)
    write_whole(path, text, replace)
    return spelling


def spelled(folder: Path, base: Path) -> str:
    """Return how a configuration in the folder `base` names a bundle: relative to it for one below it."""
    if folder.resolve() == BUILT_IN_BUNDLE.resolve():
        return BUILT_IN
    if raw(folder) is not None:
        raise ConfigError(f"{shown(folder)}: its name is not UTF-8, so TOML cannot hold it; rename it")
    whole = folder.resolve() if ".." in folder.parts else folder.absolute()
    if not whole.is_relative_to(base):
        return str(whole)
    below = str(whole.relative_to(base))
    if below.startswith("~"):
        return str(whole)
    return f"./{below}" if below == BUILT_IN else below


def with_bundle(text: str, spelling: str, path: Path) -> str:
    """Return the configuration's text with `model.bundle` changed, and nothing else."""
    changed = _changed(text, spelling)
    expected: dict[str, Any] = tomllib.loads(text)
    expected.setdefault("model", {})["bundle"] = spelling
    if tomllib.loads(changed) != expected:
        value = tomlkit.item(spelling).as_string()
        raise ConfigError(f"{shown(path)}: cannot be changed safely; write model.bundle = {value} by hand")
    return changed


def write_whole(path: Path, text: str, replace: Replace = os.replace) -> None:
    """Write a file all or not at all; a symbolic link stays one. Raises ConfigError."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.new")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            _take_after(target, draft)
            os.fsync(file.fileno())
        replace(draft, target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ConfigError(
            f"{shown(path)}: cannot be written ({error.strerror}), so the model in use stays; "
            "check its folder's permissions and the disk"
        ) from error
    with suppress(OSError):  # some file systems cannot sync a folder; the name is in place all the same
        _sync_folder(target.parent)


def _changed(text: str, spelling: str) -> str:
    document = tomlkit.parse(text)
    model = document.setdefault("model", tomlkit.table())
    header = _HEADER.search(text)
    if header and "bundle" not in model:
        # Below its header: at the table's end it would stand under what is said of the next table.
        newline = "\r\n" if text.startswith("\r\n", header.end()) else "\n"
        line = f"bundle = {tomlkit.item(spelling).as_string()}"
        return text[: header.end()] + newline + line + text[header.end() :]
    model["bundle"] = spelling
    return document.as_string()


def _remembered(path: Path) -> list[str]:
    file = history_path(path)
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{shown(file)}: cannot be read ({error.strerror}); check what it is") from error
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) and "\0" not in each for each in found):
        raise ConfigError(f"{shown(file)}: is not a list of bundles; delete it, or name a bundle to use")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{shown(path)}: cannot be read ({error.strerror}); check what it is") from error


def _take_after(target: Path, draft: Path) -> None:
    if target.exists():
        found = target.stat()
        shutil.copymode(target, draft)
        with suppress(PermissionError):
            os.chown(draft, found.st_uid, found.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
