"""Put the systemd unit where its manager looks for it, and remove it again."""

import os
import pwd
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.config import DATABASE_VARIABLE, Config, find_config
from worker.errors import ConfigError, MoodsortError
from worker.fileio import replace_file
from worker.ops.systemd.unit import UNIT_NAME, UnitSettings
from worker.paths import format_path

Runner = Callable[[Sequence[str]], bool]
"""Runs a command; returns whether it succeeded."""

SYSTEM_FOLDER = Path("/etc/systemd/system")

_COMMAND_NAME = "moodsort"

_SYSTEMCTL_SECONDS = 660.0
"""More than the unit's ``TimeoutStartSec``: systemctl waits to report how the start went."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The systemd that runs the unit: where it looks for units, and the command that controls it."""

    folder: Path
    systemctl: tuple[str, ...]

    @property
    def unit_file(self) -> Path:
        """Where the unit goes."""
        return self.folder / UNIT_NAME

    def make_command(self, *words: str) -> tuple[str, ...]:
        """Return a systemctl command."""
        return (*self.systemctl, *words)


@dataclass(frozen=True, slots=True)
class InstallResult:
    """Sentences about what was done, and the commands that remain for a person to type."""

    messages: tuple[str, ...]
    remaining: tuple[tuple[str, ...], ...]


def find_user_manager(environment: Mapping[str, str]) -> Manager:
    """Return the manager of the current user (systemd.unit(5), "User Unit Search Path")."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Manager(Path(home) / "systemd" / "user", ("systemctl", "--user"))


def find_system_manager() -> Manager:
    """Return the manager of the whole system."""
    return Manager(SYSTEM_FOLDER, ("systemctl",))


def describe_service(
    config: Config, config_file: Path | None, command: Path, environment: Mapping[str, str]
) -> UnitSettings:
    """Return the settings of the unit; `config_file` is the one that this command was called with.

    Raises ConfigError where the service would read another configuration than this command.
    """
    path = find_config(config_file)
    if path is None:
        raise ConfigError(
            "config.toml: a service has no current folder to look for it in; "
            "write one (empty, it means the defaults) and name it with --config"
        )
    if environment.get(DATABASE_VARIABLE):
        raise ConfigError(
            f"{DATABASE_VARIABLE}: is set here, but a service does not see it; "
            "write database.url into the configuration and unset it"
        )
    return UnitSettings(
        command=command,
        config=path.absolute(),
        root=config.root,
        database=config.database_file,
        bundle=config.bundle_folder,
    )


def find_owner(root: Path) -> str:
    """Return the name of the folder's owner, or the user id of one without a name. Raises ConfigError."""
    try:
        number = root.stat().st_uid
    except OSError as error:
        raise ConfigError(
            f"{format_path(root)}: cannot be examined ({error.strerror}); "
            "make it, or name a user with --user-name"
        ) from error
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def find_command(called_as: Path, interpreter: Path) -> Path:
    """Return the absolute path of the moodsort command: the one called, else the one beside the interpreter.

    Raises ConfigError where neither exists, as in a half-installed environment.
    """
    for path in (called_as, interpreter.parent / _COMMAND_NAME):
        if path.name == _COMMAND_NAME and os.access(path, os.X_OK):
            return path.absolute()
    raise ConfigError(
        f"{interpreter.parent / _COMMAND_NAME}: there is no such command; install moodsort again"
    )


def run_quietly(command: Sequence[str]) -> bool:
    """Run a command without its output; return whether it exists and succeeds. Its errors are shown."""
    try:
        process = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_SYSTEMCTL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0


def install(unit: str, manager: Manager, run: Runner) -> InstallResult:
    """Write the unit, enable and start it; one that has changed is restarted.

    Raises MoodsortError where it cannot be written.
    """
    earlier = _read_text(manager.unit_file)
    if earlier == unit:
        message = f"{format_path(manager.unit_file)} is as it was"
    else:
        _write_text(manager.unit_file, unit)
        message = f"wrote {format_path(manager.unit_file)}"
    commands = [manager.make_command("daemon-reload"), manager.make_command("enable", "--now", UNIT_NAME)]
    if earlier not in (None, unit):
        # `enable --now` starts what is stopped, but a worker that runs would keep the old unit.
        enable, restart = (
            manager.make_command("enable", UNIT_NAME),
            manager.make_command("restart", UNIT_NAME),
        )
        commands[1:] = [enable, restart]
    remaining = _run_in_order(commands, run)
    return InstallResult((message,) if remaining else (message, "enabled and started it"), remaining)


def uninstall(manager: Manager, run: Runner) -> InstallResult:
    """Stop and disable the unit and remove it. Raises MoodsortError where it cannot be removed."""
    if _read_text(manager.unit_file) is None:
        return InstallResult((f"{format_path(manager.unit_file)}: is not installed",), ())
    # Before the file goes: systemd disables only what it can still read.
    remaining = _run_in_order([manager.make_command("disable", "--now", UNIT_NAME)], run)
    try:
        manager.unit_file.unlink(missing_ok=True)
    except OSError as error:
        raise _explain_failure(manager.unit_file, "removed", error) from error
    remaining += _run_in_order([manager.make_command("daemon-reload")], run)
    message = f"removed {format_path(manager.unit_file)}"
    return InstallResult((message,) if remaining else ("stopped and disabled it", message), remaining)


def _run_in_order(commands: Sequence[tuple[str, ...]], run: Runner) -> tuple[tuple[str, ...], ...]:
    """Run commands up to the first that fails; return it and those after it."""
    for index, command in enumerate(commands):
        if not run(command):
            return tuple(commands[index:])
    return ()


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _explain_failure(path, "read", error) from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode(), mode=0o644)
    except OSError as error:
        raise _explain_failure(path, "written", error) from error


def _explain_failure(path: Path, action: str, error: OSError) -> MoodsortError:
    remedy = "try again with sudo" if path.is_relative_to(SYSTEM_FOLDER) else "check its folder's permissions"
    return MoodsortError(f"{format_path(path)}: cannot be {action} ({error.strerror}); {remedy}")
