"""Rows as people and other programs read them."""

import json
import sys

import pytest

from worker.cli.output import print_rows

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
