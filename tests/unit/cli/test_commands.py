"""What all commands have in common."""

from collections.abc import Iterator

import click
import pytest

from worker.cli import moodsort


def _list_commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _list_commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(_list_commands(moodsort))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_a_configuration_and_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"-c", "--config"} <= options
    assert command.help


@pytest.mark.parametrize(
    "name",
    [
        "log",
        "stats",
        "classify",
        "verify",
        "doctor",
        "evaluate",
        "dataset check",
        "dataset split",
        "dataset faces",
    ],
)
def test_every_command_that_lists_rows_takes_the_four_formats(name: str) -> None:
    (option,) = (option for option in COMMANDS[name].params if "--format" in option.opts)
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == ("table", "json", "jsonl", "csv")
