"""What every command has in common."""

from collections.abc import Iterator

import click
import pytest

from worker.cli import moodsort


def _commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{above}{name} ")
        else:
            yield above + name, command


COMMANDS = dict(_commands(moodsort))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_a_configuration_and_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"-c", "--config"} <= options
    assert command.help


@pytest.mark.parametrize(
    "name",
    ["log", "stats", "classify", "doctor", "evaluate", "dataset check", "dataset split", "dataset faces"],
)
def test_every_command_that_lists_takes_the_four_formats(name: str) -> None:
    (listed,) = (each for each in COMMANDS[name].params if "--format" in each.opts)
    assert isinstance(listed.type, click.Choice)
    assert tuple(listed.type.choices) == ("table", "json", "jsonl", "csv")
