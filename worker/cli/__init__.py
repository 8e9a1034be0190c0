"""The command line: parse what a person types, and print the answer."""

import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from worker.errors import MoodsortError
from worker.paths import escape_unprintable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_COMMANDS = {
    "run": "worker.cli.run:run",
    "classify": "worker.cli.classify:classify",
    "log": "worker.cli.log:log",
    "stats": "worker.cli.stats:stats",
    "verify": "worker.cli.verify:verify",
    "doctor": "worker.cli.doctor:doctor",
    "model": "worker.cli.model:model",
    "db": "worker.cli.db:db",
    "service": "worker.cli.service:service",
}
"""The commands of the worker, imported when they are called: `log` must not wait for what `run` needs."""

_ENTRY_POINTS = "moodsort.commands"


def _load_entry_points() -> "EntryPoints":
    from importlib.metadata import entry_points  # takes a tenth of the time in which `log` has to answer

    return entry_points(group=_ENTRY_POINTS)


class Commands(click.Group):
    """The commands of the worker and of installed packages, each imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*_COMMANDS, *sorted(point.name for point in _load_entry_points())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if target := _COMMANDS.get(cmd_name):
            module, _, attribute = target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        point = next((point for point in _load_entry_points() if point.name == cmd_name), None)
        loaded_command: click.Command | None = point.load() if point else None
        return loaded_command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="moodsort", prog_name="moodsort")
def moodsort() -> None:
    """Classify photos of people, file them into label folders, and keep a log that can be queried."""


def main() -> None:
    """Run the command line; an expected error is a line on standard error, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name of a file may hold what the terminal's encoding has no character for.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = moodsort.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = error.exit_code
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "moodsort"
        click.echo(f"moodsort: {escape_unprintable(error.format_message())} (see {command} --help)", err=True)
        status = error.exit_code
    except click.Abort:
        status = 130
    except MoodsortError as error:
        for line in str(error).splitlines():
            click.echo(f"moodsort: {escape_unprintable(line)}", err=True)
        status = error.exit_status
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone; the interpreter would complain on its way out
        status = 1
    sys.exit(status if isinstance(status, int) else 0)
