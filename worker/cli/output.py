"""Print rows as a table, JSON, JSON lines or CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import click

from worker.paths import escape_unprintable

Row = Mapping[str, Any]

FORMATS = ("table", "json", "jsonl", "csv")


def print_rows(
    rows: Iterable[Row],
    columns: Iterable[str],
    output_format: str,
    table: Iterable[str],
    if_empty: str = "nothing to list",
) -> None:
    """Print the rows: `columns` are the fields of JSON and CSV, `table` the columns of a table.

    A table without rows is the sentence `if_empty` on standard error. On a terminal, columns that are empty
    in every row are left out; elsewhere columns are separated by tabs, so that other programs can split them.
    """
    printers: dict[str, Callable[[Iterator[Row], list[str]], None]] = {
        "table": _print_table,
        "json": _print_json,
        "jsonl": _print_jsonl,
        "csv": _print_csv,
    }
    names = list(table if output_format == "table" else columns)
    iterator = iter(rows)
    if output_format == "table":
        first = next(iterator, None)
        if first is None:
            click.echo(if_empty, err=True)
            return
        iterator = chain([first], iterator)
    printers[output_format](iterator, names)


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
    if sys.stdout.isatty():
        _print_on_terminal(list(rows), columns)
        return
    click.echo("\t".join(name.replace("_", " ") for name in columns))
    for row in rows:
        click.echo("\t".join(_format_cell(row[name]) for name in columns))


def _print_on_terminal(rows: list[Row], columns: list[str]) -> None:
    # Imported here: rich takes longer to import than the other formats take to print.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    names = [name for name in columns if any(_format_cell(row[name]) for row in rows)]
    for name in names:
        is_numeric = any(isinstance(row[name], int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_numeric else "left")
    for row in rows:
        # As Text: square brackets in a name would be taken for markup.
        table.add_row(*(Text(_format_cell(row[name]), overflow="fold") for name in names))
    Console().print(table)


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return escape_unprintable(str(_flatten_cell(value)))
