"""Tables on terminals of several widths."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click
import pytest
from rich.cells import cell_len

from worker.cli.output import print_rows

COLUMNS = ("id", "received_at", "path", "label", "confidence", "status", "detail")

Rows = list[dict[str, Any]]
Show = Callable[[Rows, int], list[str]]


def make_row(**fields: object) -> dict[str, Any]:
    row = {
        "id": 1234,
        "received_at": datetime(2026, 11, 25, 3, 10, 59, 999999),
        "path": "happy/anna.jpg",
        "label": "happy",
        "confidence": 0.98765,
        "status": "filed",
        "detail": None,
    }
    return row | fields


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Show:
    """Print rows on a terminal of some width, and return its lines."""
    monkeypatch.setenv("TERM", "xterm")

    def print_and_read(rows: Rows, width: int) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        print_rows(rows, COLUMNS, "table", list(rows[0]))
        return click.unstyle(capsys.readouterr().out).splitlines()

    return print_and_read


def test_what_fits_is_one_line_a_row_without_empty_columns(show: Show) -> None:
    heading, rule, *lines, blank = show([make_row(), make_row(id=5)], 80)
    assert heading == "  id  received at       path            label  confidence  status"
    assert rule == "─" * len(heading)
    assert lines == [
        "1234  2026-11-25 03:10  happy/anna.jpg  happy       0.988  filed",
        "   5  2026-11-25 03:10  happy/anna.jpg  happy       0.988  filed",
    ]
    assert blank == ""


def test_long_texts_go_below_their_row_and_the_heading_says_so(show: Show) -> None:
    path, detail = "quarantine/a-name-of-some-length.jpg", "it ends after 10 bytes"
    heading, below, rule, *lines = show([make_row(path=path, detail=detail), make_row()], 80)
    assert heading == "  id  received at       label  confidence  status"
    assert below == "    path · detail"
    assert rule == "─" * 80
    assert lines == [
        "1234  2026-11-25 03:10  happy       0.988  filed",
        f"    {path} · {detail}",
        "1234  2026-11-25 03:10  happy       0.988  filed",
        "    happy/anna.jpg",
        "",
    ]


def test_a_text_that_is_left_half_the_terminal_is_folded_where_it_is(show: Show) -> None:
    lines = show(
        [
            {
                "check": "folders",
                "state": "fail",
                "found": "word" + 19 * " word",
                "remedy": "more" + 9 * " more",
            }
        ],
        60,
    )
    assert lines == [
        "check    state  found",
        "    remedy",
        "─" * 60,
        "folders  fail   word word word word word word word word word",
        "                word word word word word word word word word",
        "                word word",
        "    more more more more more more more more more more",
        "",
    ]


def test_titles_are_folded_before_any_text_is_moved(show: Show) -> None:
    row = {"name": "default", "photo_ms_p95": 240.9, "predict_ms_p95": 6.0212, "memory_mb": 84.31}
    assert show([row], 32) == [
        "name      photo  predict  memory",
        "         ms p95   ms p95      mb",
        "─" * 32,
        "default     241     6.02    84.3",
        "",
    ]


@pytest.mark.parametrize("width", [48, 60, 80, 120, 200])
@pytest.mark.parametrize(
    "name",
    [
        "x" * 255,
        "家族" * 80,
        "a long name of many words, " * 9,
        "e\u0301" * 100,
        "👨‍👩‍👧" * 30,
        "steer\x1b[2Jthe\rter\nminal\x9b" * 9,
    ],
)
def test_no_line_is_wider_than_the_terminal_and_no_number_or_date_is_folded(
    show: Show, width: int, name: str
) -> None:
    lines = show([make_row(path=name, detail="why " * 30), make_row(label="a label " * 9)], width)
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    text = "\n".join(lines)
    assert text.count("1234  2026-11-25 03:10") == text.count("0.988") == 2


def test_a_terminal_too_narrow_for_the_numbers_still_shows_them_whole(show: Show) -> None:
    lines = show([make_row()], 20)
    assert "1234  2026-11-25 03:10       0.988" in lines


def test_nothing_of_a_long_name_is_lost(show: Show) -> None:
    name = "".join(chr(ord("A") + index % 26) for index in range(250))
    lines = show([make_row(path=name)], 60)
    assert name in "".join(line.strip() for line in lines)
