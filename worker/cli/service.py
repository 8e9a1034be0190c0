"""moodsort service: the systemd unit that keeps a worker running."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from worker.cli.options import config_option
from worker.config import load_config
from worker.errors import MoodsortError
from worker.ops.systemd.install import (
    InstallResult,
    Manager,
    describe_service,
    find_command,
    find_owner,
    find_system_manager,
    find_user_manager,
    install,
    run_quietly,
    uninstall,
)
from worker.ops.systemd.unit import UnitSettings, list_writable_folders, render_system, render_user
from worker.paths import format_path


def _system_option(command: Any) -> Any:
    return click.option(
        "--system", "is_system", is_flag=True, help="For the whole system, not for one user."
    )(command)


def _user_option(command: Any) -> Any:
    return click.option(
        "--user-name",
        "user",
        metavar="NAME",
        help="The user that a system's service runs as. [default: the owner of the root folder]",
    )(command)


@click.group()
def service() -> None:
    """Keep a worker running with systemd."""


@service.command()
@_system_option
@_user_option
@config_option
def show(is_system: bool, user: str | None, config_file: Path | None) -> None:
    """Print the unit."""
    settings = _read_settings(config_file)
    click.echo(_render_unit(settings, is_system, user), nl=False)


@service.command("install")
@_system_option
@_user_option
@config_option
def install_unit(is_system: bool, user: str | None, config_file: Path | None) -> int:
    """Write the unit, enable it and start it."""
    settings = _read_settings(config_file)
    unit = _render_unit(settings, is_system, user)
    if is_system:
        _require_folders(settings)
    else:
        _make_folders(settings)
    result = install(unit, _find_manager(is_system), run_quietly)
    _print_result(result)
    if not is_system:
        click.echo("To have it run while nobody is logged in, type:\n  loginctl enable-linger")
    return 1 if result.remaining else 0


@service.command("uninstall")
@_system_option
@config_option
def uninstall_unit(is_system: bool, config_file: Path | None) -> int:
    """Stop the service and remove its unit; photos and log stay."""
    del config_file  # not needed here; accepted because every command accepts it
    result = uninstall(_find_manager(is_system), run_quietly)
    _print_result(result)
    return 1 if result.remaining else 0


def _read_settings(config_file: Path | None) -> UnitSettings:
    config = load_config(config_file)
    command = find_command(Path(sys.argv[0]), Path(sys.executable))
    return describe_service(config, config_file, command, os.environ)


def _render_unit(settings: UnitSettings, is_system: bool, user: str | None) -> str:
    if is_system:
        return render_system(settings, user or find_owner(settings.root))
    if user is not None:
        raise click.UsageError("--user-name goes with --system; a user's own service runs as that user.")
    return render_user(settings)


def _find_manager(is_system: bool) -> Manager:
    return find_system_manager() if is_system else find_user_manager(os.environ)


def _require_folders(settings: UnitSettings) -> None:
    # Not made here: root would own them, and the service could not write to them.
    for folder in list_writable_folders(settings):
        if not folder.is_dir():
            raise MoodsortError(
                f"{format_path(folder)}: is not a folder; make it, and give it to the service's user (chown)"
            )


def _make_folders(settings: UnitSettings) -> None:
    for folder in list_writable_folders(settings):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MoodsortError(
                f"{format_path(folder)}: cannot be made ({error.strerror}); check the folder above it"
            ) from error


def _print_result(result: InstallResult) -> None:
    for message in result.messages:
        click.echo(message)
    if result.remaining:
        click.echo("systemd did not do the rest; type:")
        for command in result.remaining:
            click.echo(f"  {shlex.join(command)}")
