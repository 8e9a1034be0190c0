"""`moodsort log`: the decisions, or all about one photo, as a table or for another program."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from worker.cli.filter_options import build_filters, filter_options
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.cli.photo_tables import print_photo
from worker.config import load_config
from worker.errors import MoodsortError
from worker.store.query import COLUMNS, PredictionLog, RowOrder, open_log

_TABLE = ("id", "received_at", "path", "label", "confidence", "status", "reason", "detail")
"""`path` contains the folder and the name."""

_WITH_ID = frozenset({"photo_id", "config_file", "output_format"})
"""The parameters that may be given together with the ID of a photo."""


@click.command()
@click.argument("photo_id", metavar="[ID]", required=False, type=click.IntRange(1, 2**63 - 1))
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
def log(
    photo_id: int | None,
    config_file: Path | None,
    limit: int,
    order: str,
    output_format: str,
    **filter_values: Any,
) -> None:
    """List photos and what was decided about them, or show all that is known of one.

    --label, --status, --folder and --reason may be repeated: a photo that matches one of the values is
    listed. JSON and CSV have every column of the view prediction_log, with times in UTC; the table shows
    local times. A label that a person corrected reads "sad → happy" in the table.

    CSV is for spreadsheets: control characters are escaped in it, and an apostrophe goes before a text that
    would be a formula. JSON has every text exactly.

    With the ID of a photo: its row, every prediction ever made of it with the faces that it rests on, and
    every correction. JSON has them as one object, CSV the row alone.
    """
    if photo_id is not None:
        _refuse_selection()
    with open_log(load_config(config_file).database.url) as prediction_log:
        if photo_id is not None:
            print_photo(_find_photo(prediction_log, photo_id), output_format)
            return
        filters = build_filters(filter_values)
        rows: Iterable[Row] = prediction_log.read_rows(filters, RowOrder(order), limit or None)
        if output_format == "table":
            rows = _format_rows(rows)
        print_rows(rows, COLUMNS, output_format, _TABLE, if_empty="no photo matches")


def _refuse_selection() -> None:
    """Raise UsageError where an option selects or orders photos although one is named."""
    context = click.get_current_context()
    for option in context.command.params:
        is_given = context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT
        if is_given and option.name not in _WITH_ID:
            raise click.UsageError(
                f"{option.opts[0]} selects from the list; leave it out with an ID", context
            )


def _find_photo(prediction_log: PredictionLog, photo_id: int) -> dict[str, Any]:
    if photo := prediction_log.read_photo(photo_id):
        return photo
    raise MoodsortError(
        f"photo {photo_id}: is not in the log; `moodsort log` lists the newest with their ids"
    )


def _format_rows(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        label = row["label"]
        if corrected := row["corrected_label"]:
            label = f"{label or ''} → {corrected}".lstrip()
        yield {**row, "received_at": datetime.fromisoformat(row["received_at"]), "label": label}
