"""The options that say which rows of the log are meant."""

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
    click.option("--status", multiple=True, type=click.Choice([str(word) for word in Status])),
    click.option("--folder", multiple=True, help="In this folder: a label's, inbox, review or quarantine."),
    click.option("--reason", multiple=True, type=click.Choice([str(word) for word in Reason])),
    click.option("--since", help="Taken on at or after: 2026-03-01, '2026-03-01 14:30', 14:30, 2h, 3d."),
    click.option("--until", help="Taken on before; a date's own day is included."),
    click.option("--min-confidence", type=_CONFIDENCE, help="At least this confident."),
    click.option("--max-confidence", type=_CONFIDENCE, help="At most this confident."),
    click.option("--name", help="Part of the file's name, or a pattern with * and ?; case does not matter."),
    click.option("--model", help="Part of the model's name@version, or a pattern with * and ?."),
)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `Filters`; --label, --status, --folder and --reason may be repeated."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build_filters(given: dict[str, Any]) -> Filters:
    """Return what the options ask for."""
    now = datetime.now(UTC)
    since, until = given["since"], given["until"]
    return Filters(
        labels=given["label"],
        statuses=given["status"],
        folders=given["folder"],
        reasons=given["reason"],
        since=parse_start(since, now) if since else None,
        until=parse_end(until, now) if until else None,
        min_confidence=given["min_confidence"],
        max_confidence=given["max_confidence"],
        name=given["name"],
        model=given["model"],
    )
