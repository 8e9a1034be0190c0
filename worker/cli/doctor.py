"""moodsort doctor: check what a worker needs."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from worker.cli.options import config_option, format_option
from worker.cli.output import print_rows
from worker.config import find_config, load_config
from worker.errors import ConfigError
from worker.ops.doctor import CheckResult, CheckState, examine
from worker.ops.doctor.result import report_error, report_ok
from worker.ops.logging import configure_logging
from worker.paths import format_path

_COLUMNS = ("check", "state", "found", "remedy")


@click.command()
@format_option
@config_option
def doctor(output_format: str, config_file: Path | None) -> int:
    """Check what a worker needs, and say how to fix what is wrong.

    The exit status is 1 if anything is wrong.
    """
    # Warnings of the parts that are tried out would repeat what the checks report.
    configure_logging("error", "text", sys.stderr)
    results = list(_run_checks(config_file))
    rows = [{name: getattr(result, name) for name in _COLUMNS} for result in results]
    print_rows(rows, _COLUMNS, output_format, _COLUMNS)
    return 1 if any(result.state is CheckState.FAIL for result in results) else 0


def _run_checks(config_file: Path | None) -> Iterator[CheckResult]:
    try:
        config = load_config(config_file)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield report_error("configuration", ConfigError(line))
        return
    path = find_config(config_file)
    yield report_ok(
        "configuration",
        f"{format_path(path)} is valid" if path else "there is no config.toml; the defaults apply",
    )
    yield from examine(config, path)
