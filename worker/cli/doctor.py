"""moodsort doctor: what is in the way."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from worker.cli import config_option
from worker.cli.output import format_option, print_rows
from worker.config import config_path, load_config
from worker.errors import ConfigError
from worker.ops.doctor import Finding, State, examine
from worker.ops.doctor.result import of_error, ok
from worker.ops.logging import configure
from worker.paths import shown

_COLUMNS = ("check", "state", "found", "remedy")


@click.command()
@format_option
@config_option
def doctor(output_format: str, config_file: Path | None) -> int:
    """Check what a worker needs, and say what mends what is wrong.

    The exit status is 1 if anything is wrong.
    """
    configure("error", "text", sys.stderr)
    findings = list(_findings(config_file))
    rows = [{name: getattr(finding, name) for name in _COLUMNS} for finding in findings]
    print_rows(rows, _COLUMNS, output_format, _COLUMNS)
    return 1 if any(finding.state is State.FAIL for finding in findings) else 0


def _findings(config_file: Path | None) -> Iterator[Finding]:
    try:
        config = load_config(config_file)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield of_error("configuration", ConfigError(line))
        return
    path = config_path(config_file)
    yield ok(
        "configuration", f"{shown(path)} holds" if path else "there is no config.toml; the defaults hold"
    )
    yield from examine(config)
