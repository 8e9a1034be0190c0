"""moodsort service: the systemd unit that keeps a worker running."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from worker.cli import config_option
from worker.config import load_config
from worker.errors import MoodsortError
from worker.ops.systemd.install import (
    Manager,
    Outcome,
    find_command,
    install,
    owner_of,
    run_quietly,
    service_of,
    system_manager,
    uninstall,
    user_manager,
)
from worker.ops.systemd.unit import Service, render_system, render_user, written_folders
from worker.paths import shown


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
    described = _described(config_file)
    click.echo(_unit(described, is_system, user), nl=False)


@service.command("install")
@_system_option
@_user_option
@config_option
def install_unit(is_system: bool, user: str | None, config_file: Path | None) -> int:
    """Write the unit, enable it and start it."""
    described = _described(config_file)
    unit = _unit(described, is_system, user)
    if is_system:
        _require_folders(described)
    else:
        _make_folders(described)
    outcome = install(unit, _manager(is_system), run_quietly)
    _tell(outcome)
    if not is_system:
        click.echo("To have it run while nobody is logged in, type:\n  loginctl enable-linger")
    return 1 if outcome.left else 0


@service.command("uninstall")
@_system_option
@config_option
def uninstall_unit(is_system: bool, config_file: Path | None) -> int:
    """Stop the service and remove its unit; photos and log stay."""
    del config_file  # every command takes it
    outcome = uninstall(_manager(is_system), run_quietly)
    _tell(outcome)
    return 1 if outcome.left else 0


def _described(config_file: Path | None) -> Service:
    config = load_config(config_file)
    command = find_command(Path(sys.argv[0]), Path(sys.executable))
    return service_of(config, config_file, command, os.environ)


def _unit(described: Service, is_system: bool, user: str | None) -> str:
    if is_system:
        return render_system(described, user or owner_of(described.root))
    if user is not None:
        raise click.UsageError("--user-name goes with --system; a user's own service runs as that user.")
    return render_user(described)


def _manager(is_system: bool) -> Manager:
    return system_manager() if is_system else user_manager(os.environ)


def _require_folders(described: Service) -> None:
    for folder in written_folders(described):
        if not folder.is_dir():
            raise MoodsortError(
                f"{shown(folder)}: is no folder; make it, and give it to who is to run the service with chown"
            )


def _make_folders(described: Service) -> None:
    for folder in written_folders(described):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MoodsortError(
                f"{shown(folder)}: cannot be made ({error.strerror}); check the folder above it"
            ) from error


def _tell(outcome: Outcome) -> None:
    for line in outcome.done:
        click.echo(line)
    if outcome.left:
        click.echo("systemd did not do the rest; type:")
        for command in outcome.left:
            click.echo(f"  {shlex.join(command)}")
