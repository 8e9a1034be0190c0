"""The options that select rows of the log."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from worker.cli.moments import parse_end, parse_start
from worker.errors import Reason
from worker.store.filters import Filters
from worker.store.records import Status

_CONFIDENCE = click.FloatRange(0, 1)

_OPTIONS = (
    click.option("--label", multiple=True, help="With this label: the corrected one where there is one."),
    click.option("--status", multiple=True, type=click.Choice([str(status) for status in Status])),
    click.option("--folder", multiple=True, help="In this folder: a label's, inbox, review or quarantine."),
    click.option("--reason", multiple=True, type=click.Choice([str(reason) for reason in Reason])),
    click.option("--since", help="Taken on at or after: 2026-03-01, '2026-03-01 14:30', 14:30, 2h, 3d."),
    click.option("--until", help="Taken on before; a date's own day is included."),
    click.option("--min-confidence", type=_CONFIDENCE, help="At least this confident."),
    click.option("--max-confidence", type=_CONFIDENCE, help="At most this confident."),
    click.option("--name", help="Part of the file's name, or a pattern with * and ?; case does not matter."),
    click.option("--model", help="Part of the model's name@version, or a pattern with * and ?."),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `Filters`; --label, --status, --folder and --reason may be repeated."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build_filters(values: dict[str, Any]) -> Filters:
    """Return the filters that the values of `filter_options` stand for."""
    now = datetime.now(UTC)
    since, until = values["since"], values["until"]
    return Filters(
        labels=values["label"],
        statuses=values["status"],
        folders=values["folder"],
        reasons=values["reason"],
        since=parse_start(since, now) if since else None,
        until=parse_end(until, now) if until else None,
        min_confidence=values["min_confidence"],
        max_confidence=values["max_confidence"],
        name=values["name"],
        model=values["model"],
    )
