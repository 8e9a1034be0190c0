"""Print rows as a table, JSON, JSON lines or CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from worker.paths import escape_unprintable

Row = Mapping[str, Any]

_PIPE_WIDTH = 10_000

FORMATS = ("table", "json", "jsonl", "csv")


def print_rows(rows: Iterable[Row], columns: Iterable[str], output_format: str, table: Iterable[str]) -> None:
    """Print the rows: `columns` are the fields of JSON and CSV, `table` the columns of a table."""
    printers: dict[str, Callable[[Iterator[Row], list[str]], None]] = {
        "table": _print_table,
        "json": _print_json,
        "jsonl": _print_jsonl,
        "csv": _print_csv,
    }
    names = list(table if output_format == "table" else columns)
    printers[output_format](iter(rows), names)


def _print_json(rows: Iterator[Row], columns: list[str]) -> None:
    # One row at a time, so that a log of a million rows takes the memory of one.
    separator = "["
    for row in rows:
        click.echo(f"{separator}\n  {_format_json(row, columns)}", nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")


def _print_jsonl(rows: Iterator[Row], columns: list[str]) -> None:
    for row in rows:
        click.echo(_format_json(row, columns))


def _format_json(row: Row, columns: list[str]) -> str:
    return json.dumps({name: row[name] for name in columns}, ensure_ascii=False)


def _print_csv(rows: Iterator[Row], columns: list[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_flatten_cell(row[name]) for name in columns])


def _flatten_cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _print_table(rows: Iterator[Row], columns: list[str]) -> None:
    # Imported here: rich takes longer to import than the other formats take to print.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    numeric_columns: set[str] = set()
    cells = []
    for row in rows:
        cells.append([_format_cell(row[name]) for name in columns])
        numeric_columns.update(name for name in columns if isinstance(row[name], int | float))
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right" if name in numeric_columns else "left")
    for line in cells:
        # As Text: square brackets in a name would be taken for markup.
        table.add_row(*(Text(cell, overflow="fold") for cell in line))
    # In a pipe there is no width to keep to, and grep needs each row on one line.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return escape_unprintable(str(_flatten_cell(value)))
