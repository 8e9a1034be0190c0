"""Put the systemd unit where its manager looks for it, and take it away again."""

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
"""Runs a command and tells whether it did what it should."""

SYSTEM_FOLDER = Path("/etc/systemd/system")

_COMMAND_NAME = "moodsort"

_SYSTEMCTL_SECONDS = 660.0
"""More than the unit's ``TimeoutStartSec``: systemctl tells how the start went."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The systemd that runs the unit: where it looks for units, and how it is spoken to."""

    folder: Path
    systemctl: tuple[str, ...]

    @property
    def unit_file(self) -> Path:
        """Where the unit goes."""
        return self.folder / UNIT_NAME

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a systemctl command."""
        return (*self.systemctl, *words)


@dataclass(frozen=True, slots=True)
class InstallResult:
    """What was done, in words, and the commands that are left for a person to type."""

    done: tuple[str, ...]
    left: tuple[tuple[str, ...], ...]


def find_user_manager(environment: Mapping[str, str]) -> Manager:
    """Return the manager of the current user (systemd.unit(5), "User Unit Search Path")."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Manager(Path(home) / "systemd" / "user", ("systemctl", "--user"))


def find_system_manager() -> Manager:
    """Return the manager of the whole system."""
    return Manager(SYSTEM_FOLDER, ("systemctl",))


def describe_service(
    config: Config, given: Path | None, command: Path, environment: Mapping[str, str]
) -> UnitSettings:
    """Return what the unit has to say.

    Raises ConfigError where the service would not find what this command finds.
    """
    path = find_config(given)
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
    """Return the name of who owns the folder, or the number of one without a name."""
    try:
        number = root.stat().st_uid
    except OSError as error:
        raise ConfigError(
            f"{format_path(root)}: cannot be looked at ({error.strerror}); make it, or name a user with --user-name"
        ) from error
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def find_command(called_as: Path, interpreter: Path) -> Path:
    """Return the absolute path of the moodsort command: the one called, else the interpreter's neighbour."""
    for path in (called_as, interpreter.parent / _COMMAND_NAME):
        if path.name == _COMMAND_NAME and os.access(path, os.X_OK):
            return path.absolute()
    raise ConfigError(
        f"{interpreter.parent / _COMMAND_NAME}: there is no such command; install moodsort again"
    )


def run_quietly(command: Sequence[str]) -> bool:
    """Run a command; tell whether it is there and succeeds. What it says goes where ours goes."""
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_SYSTEMCTL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def install(unit: str, manager: Manager, run: Runner) -> InstallResult:
    """Write the unit, enable and start it; one that has changed is started again.

    Raises MoodsortError where it cannot be written.
    """
    before = _read_text(manager.unit_file)
    if before != unit:
        _write_text(manager.unit_file, unit)
    written = (
        f"wrote {format_path(manager.unit_file)}"
        if before != unit
        else f"{format_path(manager.unit_file)} is as it was"
    )
    commands = [manager.command("daemon-reload"), manager.command("enable", "--now", UNIT_NAME)]
    if before not in (None, unit):
        commands[1:] = [manager.command("enable", UNIT_NAME), manager.command("restart", UNIT_NAME)]
    left = _run_in_order(commands, run)
    return InstallResult((written,) if left else (written, "enabled and started it"), left)


def uninstall(manager: Manager, run: Runner) -> InstallResult:
    """Stop and disable the unit and remove it. Raises MoodsortError where it cannot be removed."""
    if _read_text(manager.unit_file) is None:
        return InstallResult((f"{format_path(manager.unit_file)}: is not installed",), ())
    stop = manager.command("disable", "--now", UNIT_NAME)
    left = _run_in_order([stop], run)
    try:
        manager.unit_file.unlink(missing_ok=True)
    except OSError as error:
        raise _refuse(manager.unit_file, "removed", error) from error
    left += _run_in_order([manager.command("daemon-reload")], run)
    removed = f"removed {format_path(manager.unit_file)}"
    return InstallResult((removed,) if left else ("stopped and disabled it", removed), left)


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
        raise _refuse(path, "read", error) from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode(), mode=0o644)
    except OSError as error:
        raise _refuse(path, "written", error) from error


def _refuse(path: Path, what: str, error: OSError) -> MoodsortError:
    remedy = "try again with sudo" if path.is_relative_to(SYSTEM_FOLDER) else "check its folder's permissions"
    return MoodsortError(f"{format_path(path)}: cannot be {what} ({error.strerror}); {remedy}")
