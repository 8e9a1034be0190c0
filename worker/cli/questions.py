"""Ask before something is done that is hard to take back."""

import sys
from typing import Any

import click


def yes_option(command: Any) -> Any:
    """Add --yes; the command gets it as `is_sure`, and passes it to `confirm`."""
    return click.option("-y", "--yes", "is_sure", is_flag=True, help="Do not ask, even on a terminal.")(
        command
    )


def confirm(question: str, is_sure: bool) -> None:
    """Ask on a terminal; elsewhere nobody could answer. Raises Abort unless the answer is yes."""
    if not is_sure and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)
