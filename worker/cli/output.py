"""Print rows as a table, JSON, JSON lines or CSV."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

import click

from worker.paths import escape_unprintable, is_shown_as_it_is

Row = Mapping[str, Any]

FORMATS = ("table", "json", "jsonl", "csv")

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a text begins that a spreadsheet takes for a formula (OWASP, CSV Injection)."""


def print_rows(
    rows: Iterable[Row],
    columns: Iterable[str],
    output_format: str,
    table: Iterable[str],
    if_empty: str = "nothing to list",
) -> None:
    """Print the rows: `columns` are the fields of JSON and CSV, `table` the columns of a table.

    In a table a datetime reads as a local time, a float has three significant digits, and no rows at all are
    the sentence `if_empty` on standard error. On a terminal, columns that are empty in every row are left
    out, and long texts may go below their row; elsewhere columns are separated by tabs, so that other
    programs can split them.

    A text can be the name of a stranger's file. In tables and CSV its control characters are escaped as in
    Python, and in CSV an apostrophe goes before one that would be a formula. JSON escapes them, too, and is
    exact all the same.
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
    return format_json({name: row[name] for name in columns})


def format_json(value: object, indent: int | None = None) -> str:
    """Return a value as JSON that no text in it can steer a terminal with; other characters stay readable."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    # Outside texts only line breaks are left, and in them JSON has escaped those already.
    return "".join(
        char if char == "\n" or is_shown_as_it_is(char) else json.dumps(char)[1:-1] for char in text
    )


def _print_csv(rows: Iterator[Row], columns: list[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_format_csv_cell(row[name]) for name in columns])


def _format_csv_cell(value: object) -> object:
    cell = _flatten_cell(value)
    if not isinstance(cell, str):
        return cell
    return escape_unprintable(f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell)


def _flatten_cell(value: object) -> object:
    return format_json(value) if isinstance(value, dict | list) else value


def _print_table(rows: Iterator[Row], columns: list[str]) -> None:
    if sys.stdout.isatty():
        _print_on_terminal(list(rows), columns)
        return
    click.echo("\t".join(map(_format_title, columns)))
    for row in rows:
        click.echo("\t".join(_format_cell(row[name]) for name in columns))


def _print_on_terminal(rows: list[Row], names: list[str]) -> None:
    # Imported here: it imports rich, which takes longer than the other formats take to print.
    from worker.cli.terminal_table import Column, find_kind, print_columns

    columns = []
    for name in names:
        values = [row[name] for row in rows]
        columns.append(Column(_format_title(name), list(map(_format_cell, values)), find_kind(values)))
    print_columns([column for column in columns if any(column.cells)])


def _format_title(name: str) -> str:
    return escape_unprintable(name.replace("_", " "))


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return _format_number(value)
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    return escape_unprintable(str(_flatten_cell(value)))


def _format_number(value: float) -> str:
    """Return a number with three significant digits; up to 1, with three decimals, as probabilities have."""
    limits = (1.0, 9.995, 99.95)  # what reaches the next power of ten by rounding has a decimal less
    decimals = next((3 - index for index, limit in enumerate(limits) if abs(value) <= limit), 0)
    return f"{value:.{decimals}f}"
