"""Write docs/commands.md from the commands' own help: `make docs`."""

from collections.abc import Iterator
from pathlib import Path

import click

from worker.cli import moodsort

PAGE = Path(__file__).with_name("commands.md")

_WIDTH = 80

_COMMON = {"--config", "--help"}
"""Options that every command takes, which the page's introduction describes."""

_INTRODUCTION = """\
# Commands

Made from the commands' own help by `make docs`; a test compares the two.

Every command takes `-h`, `--help`, and `-c`, `--config PATH`: the configuration file, by default
`$MOODSORT_CONFIG` or `./config.toml`. `moodsort --version` prints the version. An error is a line on standard
error that says what is wrong, where, and what to do; the exit status is then 1, or 2 if the command line or
the configuration is wrong.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(render_page(), encoding="utf-8")


def render_page() -> str:
    """Return the page: a section for each command."""
    contexts = list_commands(moodsort, click.Context(moodsort, info_name="moodsort"))
    sections = (f"## {context.command_path}\n\n```text\n{_render_help(context)}```\n" for context in contexts)
    return "\n".join([_INTRODUCTION, *sections])


def list_commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """Yield the context of every command below a group, groups before what is in them."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=context)
        yield below
        if isinstance(command, click.Group):
            yield from list_commands(command, below)


def list_options(command: click.Command) -> Iterator[str]:
    """Yield every spelling of every option of a command, but those that all commands take."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not _COMMON.intersection(parameter.opts):
            yield from (*parameter.opts, *parameter.secondary_opts)


def _render_help(context: click.Context) -> str:
    command, formatter = context.command, click.HelpFormatter(width=_WIDTH)
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    records = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and not _COMMON.intersection(parameter.opts)
        and (record := parameter.get_help_record(context))
    ]
    if records:
        with formatter.section("Options"):
            formatter.write_dl(records)
    return formatter.getvalue()


if __name__ == "__main__":
    main()
