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
from worker.ops.systemd.unit import UnitSettings, list_written_folders, render_system, render_user
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
        help="Who a system's service runs as. [default: who owns the root folder]",
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
    described = _read_settings(config_file)
    click.echo(_render_unit(described, is_system, user), nl=False)


@service.command("install")
@_system_option
@_user_option
@config_option
def install_unit(is_system: bool, user: str | None, config_file: Path | None) -> int:
    """Write the unit, enable it and start it."""
    described = _read_settings(config_file)
    unit = _render_unit(described, is_system, user)
    if is_system:
        _require_folders(described)
    else:
        _make_folders(described)
    outcome = install(unit, _find_manager(is_system), run_quietly)
    _print_result(outcome)
    if not is_system:
        click.echo("To have it run while nobody is logged in, type:\n  loginctl enable-linger")
    return 1 if outcome.left else 0


@service.command("uninstall")
@_system_option
@config_option
def uninstall_unit(is_system: bool, config_file: Path | None) -> int:
    """Stop the service and remove its unit; photos and log stay."""
    del config_file  # every command takes it
    outcome = uninstall(_find_manager(is_system), run_quietly)
    _print_result(outcome)
    return 1 if outcome.left else 0


def _read_settings(config_file: Path | None) -> UnitSettings:
    config = load_config(config_file)
    command = find_command(Path(sys.argv[0]), Path(sys.executable))
    return describe_service(config, config_file, command, os.environ)


def _render_unit(described: UnitSettings, is_system: bool, user: str | None) -> str:
    if is_system:
        return render_system(described, user or find_owner(described.root))
    if user is not None:
        raise click.UsageError("--user-name goes with --system; a user's own service runs as that user.")
    return render_user(described)


def _find_manager(is_system: bool) -> Manager:
    return find_system_manager() if is_system else find_user_manager(os.environ)


def _require_folders(described: UnitSettings) -> None:
    for folder in list_written_folders(described):
        if not folder.is_dir():
            raise MoodsortError(
                f"{format_path(folder)}: is no folder; make it, and give it to who is to run the service with chown"
            )


def _make_folders(described: UnitSettings) -> None:
    for folder in list_written_folders(described):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MoodsortError(
                f"{format_path(folder)}: cannot be made ({error.strerror}); check the folder above it"
            ) from error


def _print_result(outcome: InstallResult) -> None:
    for line in outcome.done:
        click.echo(line)
    if outcome.left:
        click.echo("systemd did not do the rest; type:")
        for command in outcome.left:
            click.echo(f"  {shlex.join(command)}")
