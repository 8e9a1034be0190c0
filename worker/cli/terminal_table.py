"""Lay rows out as a table that fits a terminal: long texts go below their row, numbers are never folded."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = "  "
_INDENT = "    "
_SEPARATOR = " · "


class ColumnKind(Enum):
    """How a column may be laid out: only text is folded, or moved below the row."""

    TEXT = auto()
    NUMBER = auto()
    MOMENT = auto()


def find_kind(values: Iterable[object]) -> ColumnKind:
    """Return the kind of a column with these values; None is a value of any kind."""
    types = {type(value) for value in values if value is not None}
    if types <= {int, float}:
        return ColumnKind.NUMBER
    return ColumnKind.MOMENT if types == {datetime} else ColumnKind.TEXT


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table, with one cell for each row."""

    title: str
    cells: Sequence[str]
    kind: ColumnKind

    @cached_property
    def cell_width(self) -> int:
        """The width of the widest cell, in the terminal's columns."""
        return max(map(cell_len, self.cells), default=0)

    @property
    def natural_width(self) -> int:
        """The width at which nothing is folded."""
        return max(cell_len(self.title), self.cell_width)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of the row's own line with their widths, and those of the lines below it."""

    inline: tuple[tuple[Column, int], ...]
    below: tuple[Column, ...]


def print_columns(columns: Sequence[Column]) -> None:
    """Print the table on standard output, as wide as the terminal at most.

    Where it would be wider, titles are folded first. Then long texts go below their row, the last one first;
    one that is left with half the terminal or more stays, and is folded. On a terminal that is too narrow for
    the numbers, lines run over its edge.
    """
    console = Console()
    layout = _choose_layout(columns, console.width)
    for line in (*_render_heading(layout, console), *_render_rows(layout, console)):
        console.print(line, soft_wrap=True)
    console.print()


def _choose_layout(columns: Sequence[Column], width: int) -> _Layout:
    inline = list(columns)
    while (widths := _fit_widths(inline, width)) is None:
        column = _choose_column_to_move(inline, width)
        if column is None:
            widths = [_find_least_width(column, width) for column in inline]
            break
        inline.remove(column)
    below = tuple(column for column in columns if column not in inline)
    return _Layout(tuple(zip(inline, widths, strict=True)), below)


def _fit_widths(columns: Sequence[Column], width: int) -> list[int] | None:
    """Return a width for each column with which the line fits; None where there are none."""
    widths = [_find_least_width(column, width) for column in columns]
    room = width - sum(widths) - len(_GAP) * (len(columns) - 1)
    if room < 0:
        return None
    for index, column in enumerate(columns):
        growth = min(room, column.natural_width - widths[index])
        widths[index] += growth
        room -= growth
    return widths


def _find_least_width(column: Column, width: int) -> int:
    """Return the width below which a column is not folded: half the terminal, for a long text."""
    title_width = max(map(cell_len, column.title.split()), default=0)
    cell_width = min(column.cell_width, width // 2) if column.kind is ColumnKind.TEXT else column.cell_width
    return max(title_width, cell_width)


def _choose_column_to_move(columns: Sequence[Column], width: int) -> Column | None:
    texts = [column for column in columns if column.kind is ColumnKind.TEXT]
    long_texts = [column for column in texts if column.cell_width > width // 4]
    if long_texts:
        return long_texts[-1]
    return max(texts, key=lambda column: column.natural_width, default=None)


def _render_heading(layout: _Layout, console: Console) -> Iterator[Text]:
    titles = [column.title for column, _ in layout.inline]
    for line in _render_line(layout, titles, console):
        yield Text(line, style="bold")
    for line in _render_below([column.title for column in layout.below], console):
        yield Text(line, style="dim")
    widths = [width for _, width in layout.inline]
    rule_width = sum(widths) + len(_GAP) * (len(widths) - 1)
    yield Text("─" * min(console.width, max(rule_width, console.width if layout.below else 0)))


def _render_rows(layout: _Layout, console: Console) -> Iterator[Text]:
    columns = [*(column for column, _ in layout.inline), *layout.below]
    for index in range(len(columns[0].cells)):
        for line in _render_line(layout, [column.cells[index] for column, _ in layout.inline], console):
            yield Text(line)
        for line in _render_below([column.cells[index] for column in layout.below], console):
            yield Text(line, style="dim")


def _render_line(layout: _Layout, cells: Sequence[str], console: Console) -> Iterator[str]:
    """Yield the lines of one row: more than one where a cell is folded."""
    folded_cells = [
        _fold(cell, width, console) for cell, (_, width) in zip(cells, layout.inline, strict=True)
    ]
    for index in range(max(map(len, folded_cells), default=0)):
        parts = [
            _pad(lines[index] if index < len(lines) else "", width, column.kind)
            for lines, (column, width) in zip(folded_cells, layout.inline, strict=True)
        ]
        yield _GAP.join(parts).rstrip()


def _render_below(cells: Sequence[str], console: Console) -> Iterator[str]:
    """Yield the lines below a row: as many cells on each as fit."""
    width = max(console.width - len(_INDENT), 1)
    line = ""
    for cell in filter(None, cells):
        if line and cell_len(line + _SEPARATOR + cell) <= width:
            line += _SEPARATOR + cell
            continue
        if line:
            yield _INDENT + line
        *whole_lines, line = _fold(cell, width, console)
        yield from (_INDENT + whole_line for whole_line in whole_lines)
    if line:
        yield _INDENT + line


def _fold(text: str, width: int, console: Console) -> list[str]:
    """Return the text as lines no wider than `width`, between words where that is possible."""
    if cell_len(text) <= width:
        return [text]
    return [line.plain.rstrip() for line in Text(text).wrap(console, width, overflow="fold")]


def _pad(text: str, width: int, kind: ColumnKind) -> str:
    padding = " " * (width - cell_len(text))
    return padding + text if kind is ColumnKind.NUMBER else text + padding
