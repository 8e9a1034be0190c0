"""The options that several commands share."""

from pathlib import Path
from typing import Any

import click

from worker.cli.output import FORMATS


def config_option(command: Any) -> Any:
    """Add -c/--config, which every command has; the command gets it as `config_file`, a Path or None."""
    return click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        help="The configuration file. [default: $MOODSORT_CONFIG, else ./config.toml]",
    )(command)


def format_option(command: Any) -> Any:
    """Add --format, which every command that lists rows has; the command gets it as `output_format`."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="The format of the rows.",
    )(command)
