"""Rows as people and other programs read them."""

import csv
import io
import json
import sys

import pytest

from worker.cli.output import format_json, print_rows
from worker.paths import escape_unprintable

ROWS = [
    {"name": "a.jpg", "label": "happy", "confidence": 0.9, "reason": None},
    {"name": "b.jpg", "label": None, "confidence": None, "reason": None},
]
COLUMNS = ("name", "label", "confidence", "reason")


def test_a_table_in_a_pipe_has_tabs_between_its_columns_and_no_padding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rows(ROWS, COLUMNS, "table", COLUMNS)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name\tlabel\tconfidence\treason", "a.jpg\thappy\t0.900\t", "b.jpg\t\t\t"]


def test_a_table_on_a_terminal_leaves_out_columns_that_are_empty(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    print_rows(ROWS, COLUMNS, "table", COLUMNS)
    output = capsys.readouterr().out
    assert "confidence" in output
    assert "reason" not in output


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (240.9, "241"),
        (99.96, "100"),
        (84.31, "84.3"),
        (9.996, "10.0"),
        (6.0212, "6.02"),
        (1.0, "1.000"),
        (0.52, "0.520"),
        (1234567.8, "1234568"),
        (1234567, "1234567"),
    ],
)
def test_a_person_reads_three_significant_digits_and_a_program_every_one(
    value: float, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_rows([{"value": value}], ("value",), "table", ("value",))
    assert capsys.readouterr().out == f"value\n{text}\n"
    print_rows([{"value": value}], ("value",), "jsonl", ())
    assert json.loads(capsys.readouterr().out) == {"value": value}


@pytest.mark.parametrize(("output_format", "output"), [("table", ""), ("json", "[]\n"), ("jsonl", "")])
def test_a_table_of_nothing_is_a_sentence_and_other_formats_stay_what_they_are(
    output_format: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_rows([], COLUMNS, output_format, COLUMNS, if_empty="no photo matches")
    printed = capsys.readouterr()
    assert printed.out == output
    assert printed.err == ("no photo matches\n" if output_format == "table" else "")


STEERING = ("\x1b[2J", "\u202e", "\u2066", "\u200f", "\x9b31m", "\x07")
"""What steers a terminal, or turns the direction in which a name is read: C0, C1, bidirectional controls."""


@pytest.mark.parametrize("output_format", ["table", "json", "jsonl", "csv"])
@pytest.mark.parametrize("steering", STEERING)
def test_no_text_can_steer_a_terminal_in_any_format(
    output_format: str, steering: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"name": f"a{steering}gpj.exe", "probabilities": {steering: 0.5}}
    print_rows([row], row, output_format, row)
    output = capsys.readouterr().out
    assert all(char.isprintable() or char in "\n\t" for char in output)
    if output_format in ("json", "jsonl"):
        (read_row,) = json.loads(output) if output_format == "json" else [json.loads(output)]
        assert read_row == row


def test_json_with_line_breaks_is_exact_whatever_a_text_holds() -> None:
    value = {"name": "a\nb\x9b\u202e\U000e0001 日　本"}
    text = format_json(value, indent=2)
    assert json.loads(text) == value
    assert text.splitlines()[0] == "{"
    assert "日　本" in text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_no_text_in_csv_is_a_formula(start: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"name": f"{start}1+1.jpg"}], ("name",), "csv", ())
    (_, (cell,)) = csv.reader(io.StringIO(capsys.readouterr().out))
    assert cell == f"'{escape_unprintable(start)}1+1.jpg"


def test_numbers_in_csv_stay_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"difference": -0.5, "count": -1}], ("difference", "count"), "csv", ())
    assert capsys.readouterr().out == "difference,count\n-0.5,-1\n"
