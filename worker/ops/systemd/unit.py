"""Render the systemd unit that keeps a worker running, from the templates beside this module."""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from worker.errors import ConfigError
from worker.paths import format_path

UNIT_NAME = "moodsort.service"

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ``ProtectHome=yes`` hides (systemd.exec(5))."""

_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (compared with, never written to)
"""What ``PrivateTmp=yes`` replaces by empty folders (systemd.exec(5))."""

_UNIT_TEMPLATE = "moodsort.service"
"""Works in units of the system and of a user alike: system call filters need no privileges.

Without a limit on starts (StartLimitIntervalSec=0), systemd never gives a service up that it restarts.
"""

_SYSTEM_TEMPLATE = "system-settings.conf"
"""What takes a mount namespace, so is for the system's units alone.

A user's manager can only make one inside a user namespace. Where the kernel forbids that (Ubuntu since
23.10), a unit that asks for one does not start at all (systemd issue 34983).
"""

_USER_RIGHTS = """\
CapabilityBoundingSet=
SystemCallFilter=~@privileged
"""

_ROOT_RIGHTS = """\
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_LEASE
SystemCallFilter=~@privileged
SystemCallFilter=@chown capset
"""
"""Without these root could not move what others drop, keep it theirs, and see who is still writing to it."""


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """What a unit runs and what it has to reach; all paths are absolute.

    `database` is the SQLite file, None where a server keeps the log.
    """

    command: Path
    config: Path
    root: Path
    database: Path | None
    bundle: Path


def render_user(settings: UnitSettings) -> str:
    """Return the unit for the manager of one user. Raises ConfigError for a path that no unit can hold."""
    return _render_unit(settings, target="default.target", requirements="", system_settings="")


def render_system(settings: UnitSettings, user: str) -> str:
    """Return the unit for the system's manager, which runs it as the user, a name or a number.

    Raises ConfigError for a path that no unit can hold.
    """
    requirements = [
        f"RequiresMountsFor={_quote_paths(list_writable_folders(settings))}",
        "After=network.target",
    ]
    if settings.database is None:
        requirements += ["Wants=network-online.target", "After=network-online.target postgresql.service"]
    return _render_unit(
        settings,
        target="multi-user.target",
        requirements="".join(f"{line}\n" for line in requirements),
        system_settings=_render_system_settings(settings, user),
    )


def list_writable_folders(settings: UnitSettings) -> list[Path]:
    """Return the folders that the service writes to; they have to exist before it starts."""
    folders = [settings.root]
    if settings.database is not None and not settings.database.is_relative_to(settings.root):
        folders.append(settings.database.parent)
    return folders


def _render_unit(settings: UnitSettings, *, target: str, requirements: str, system_settings: str) -> str:
    arguments = [_quote_argument(word) for word in ("--config", _check_path(settings.config))]
    return _read_template(_UNIT_TEMPLATE).format(
        command=" ".join([_quote_executable(settings.command), "run", *arguments]),
        target=target,
        requirements=requirements,
        system_settings=system_settings,
    )


def _render_system_settings(settings: UnitSettings, user: str) -> str:
    folders = list_writable_folders(settings)
    paths = [settings.command, settings.config, settings.bundle, *folders]
    text = _read_template(_SYSTEM_TEMPLATE).format(
        writable_folders=_quote_paths(folders),
        protect_home="read-only" if _is_any_below(paths, _HOMES) else "yes",
        user=_escape_specifiers(user),
    )
    if not _is_any_below(paths, _TEMPORARY):
        text += "PrivateTmp=yes\n"
    return text + (_ROOT_RIGHTS if user == "root" else _USER_RIGHTS)


def _read_template(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _is_any_below(paths: list[Path], folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)


def _quote_executable(path: Path) -> str:
    """Quote the command; a colon before it keeps systemd from expanding ``$`` in its arguments."""
    if set(format_path(path)) & set("\"'\\"):
        raise ConfigError(
            f"{format_path(path)}: systemd runs no command with quotes in its path; install it elsewhere"
        )
    return _quote_argument(f":{_check_path(path)}")


def _quote_argument(word: str) -> str:
    """Quote a word for systemd.syntax(7); an entry of a list of paths is read in the same way."""
    escaped = _escape_specifiers(word).replace("\\", "\\\\").replace('"', '\\"')
    return escaped if _is_plain(escaped) else f'"{escaped}"'


def _quote_paths(paths: list[Path]) -> str:
    return " ".join(_quote_argument(_check_path(path)) for path in paths)


def _is_plain(text: str) -> bool:
    return re.fullmatch(r"[\w/.,:=@%+-]+", text, re.ASCII) is not None


def _escape_specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _check_path(path: Path) -> str:
    """Return the path's text, which a unit can only hold where it is printable UTF-8."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        if not any(char < " " or char == "\x7f" for char in text):
            return text
    raise ConfigError(f"{format_path(path)!a}: a systemd unit cannot hold this name; rename it")
