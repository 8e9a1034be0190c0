"""`moodsort log`: the decisions, as a table or for another program."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from worker.cli.filter_options import build_filters, filter_options
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import load_config
from worker.store.query import COLUMNS, RowOrder, open_log

_TABLE = ("id", "received_at", "path", "label", "confidence", "status", "reason", "detail")
"""`path` contains the folder and the name."""


@click.command()
@config_option
@filter_options
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="0 lists all.")
@click.option(
    "--order",
    type=click.Choice([str(order) for order in RowOrder]),
    default=str(RowOrder.NEWEST),
    show_default=True,
    help="Which come first: newest, oldest, highest or lowest confidence.",
)
@format_option
def log(config_file: Path | None, limit: int, order: str, output_format: str, **filter_values: Any) -> None:
    """List photos and what was decided about them.

    --label, --status, --folder and --reason may be repeated: a photo that matches one of the values is
    listed. JSON and CSV have every column of the view prediction_log, with times in UTC; the table shows
    local times. A label that a person corrected reads "sad → happy" in the table.
    """
    filters = build_filters(filter_values)
    with open_log(load_config(config_file).database.url) as prediction_log:
        rows: Iterable[Row] = prediction_log.read_rows(filters, RowOrder(order), limit or None)
        if output_format == "table":
            rows = _format_rows(rows)
        print_rows(rows, COLUMNS, output_format, _TABLE, if_empty="no photo matches")


def _format_rows(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        label = row["label"]
        if corrected := row["corrected_label"]:
            label = f"{label or ''} → {corrected}".lstrip()
        yield {**row, "received_at": datetime.fromisoformat(row["received_at"]), "label": label}
