"""`moodsort stats`: the number of photos by label, status, day, model or reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from worker.cli.moments import parse_start
from worker.cli.options import config_option, format_option
from worker.cli.output import print_rows
from worker.config import load_config
from worker.errors import Reason
from worker.store.filters import Filters
from worker.store.query import Group, PredictionLog, Tally, open_log

_OVERVIEW = (Group.LABEL, Group.STATUS)
_STATISTICS = ("photos", "share", "mean_confidence", "corrected")


@click.command()
@config_option
@click.option("--since", help="Taken on at or after: 2026-03-01, '2026-03-01 14:30', 14:30, 2h, 3d.")
@click.option(
    "--by",
    type=click.Choice(["day", "label", "model", "reason"]),
    help="What to count by; days are local. [default: label and status]",
)
@format_option
def stats(config_file: Path | None, since: str | None, by: str | None, output_format: str) -> None:
    """Count photos: number, share of all that are counted, mean confidence, and number of corrections.

    A photo counts under its corrected label where it has one. --by reason counts those in review and
    in quarantine.
    """
    filters = Filters(since=parse_start(since, datetime.now(UTC)) if since else None)
    with open_log(load_config(config_file).database.url) as prediction_log:
        tallies = _count(prediction_log, filters, by)
    keys = tuple(str(group) for group in _OVERVIEW) if by is None else (by,)
    rows: Iterable[dict[str, Any]] = _make_rows(keys, tallies)
    if output_format == "table":
        rows = _format_rows(keys, list(rows))
    columns = (*keys, *_STATISTICS)
    print_rows(rows, columns, output_format, columns, if_empty="no photo matches")


def _count(prediction_log: PredictionLog, filters: Filters, by: str | None) -> list[Tally]:
    match by:
        case None:
            return prediction_log.count_groups(filters, _OVERVIEW)
        case "day":
            return prediction_log.count_days(filters)
        case "reason":
            return prediction_log.count_groups(replace(filters, reasons=tuple(Reason)), (Group.REASON,))
        case _:
            return prediction_log.count_groups(filters, (Group(by),))


def _make_rows(keys: Sequence[str], tallies: Sequence[Tally]) -> Iterator[dict[str, Any]]:
    total = sum(tally.photos for tally in tallies)
    for tally in tallies:
        yield {
            **dict(zip(keys, tally.keys, strict=True)),
            "photos": tally.photos,
            "share": tally.photos / total,
            "mean_confidence": tally.mean_confidence,
            "corrected": tally.corrected,
        }


def _format_rows(keys: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows for people: shares in percent, and the total below them."""
    for row in rows:
        yield {**row, "share": f"{row['share']:.1%}"}
    if len(rows) > 1:
        yield {
            **dict.fromkeys((*keys, *_STATISTICS)),
            keys[0]: "total",
            "photos": sum(row["photos"] for row in rows),
            "corrected": sum(row["corrected"] for row in rows),
        }
