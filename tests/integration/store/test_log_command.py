"""`moodsort log`, `stats` and `db` as a person runs them."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from worker.cli import moodsort
from worker.config import DATABASE_VARIABLE
from worker.errors import ConfigError, MoodsortError, Reason, StoreError
from worker.inference.prediction import FacePrediction, Prediction
from worker.store import Store
from worker.store.query import COLUMNS
from worker.store.revision import HEAD


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(DATABASE_VARIABLE, database_url)
    monkeypatch.setenv("COLUMNS", "100")

    def invoke(*arguments: str) -> str:
        result: Result = CliRunner().invoke(moodsort, list(arguments))
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return invoke


@pytest.fixture
def filled(store: Store, model: int, work: Any) -> None:
    happy, broken, _ = work.take_on(store, "inbox/a.jpg", "inbox/b.jpg", "inbox/c.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(happy, "happy/a.jpg"), model)
        turn.record_filed(happy, None, work.now)
        turn.decide(work.make_decision(broken, "quarantine/b.jpg", reason=Reason.EMPTY), model)
        turn.record_filed(broken, None, work.now)


def test_json_has_the_views_columns_in_order(filled: None, run: Any) -> None:
    rows = json.loads(run("log", "--format", "json", "--label", "happy"))
    assert [list(row) for row in rows] == [list(COLUMNS)]
    assert rows[0]["probabilities"]["happy"] == 0.9


def test_json_lines_and_csv_have_the_same_rows(filled: None, run: Any) -> None:
    lines = [json.loads(line) for line in run("log", "--format", "jsonl").splitlines()]
    table = list(csv.DictReader(io.StringIO(run("log", "--format", "csv"))))
    assert [row["id"] for row in table] == [str(row["id"]) for row in lines]
    assert [row["path"] for row in table] == ["inbox/c.jpg", "quarantine/b.jpg", "happy/a.jpg"]
    assert list(table[0]) == list(COLUMNS)


def test_the_table_says_why_a_photo_is_in_quarantine(filled: None, run: Any) -> None:
    heading, line = (line.split("\t") for line in run("log", "--status", "quarantined").splitlines())
    row = dict(zip(heading, line, strict=True))
    assert (row["path"], row["reason"], row["detail"]) == ("quarantine/b.jpg", "empty", "it is empty")


@pytest.fixture
def with_faces(store: Store, model: int, work: Any) -> None:
    """File a photo with one face, id 1."""
    (photo_id,) = work.take_on(store, "inbox/a.jpg")
    decision = work.make_decision(photo_id, "happy/a.jpg")
    probabilities = {"happy": 0.75, "sad": 0.25}
    face = FacePrediction(12.0, 30.0, 80.0, 90.0, 0.98, "happy", probabilities)
    prediction = Prediction("happy", 0.9, {"happy": 0.9, "sad": 0.1}, (face,))
    with store.begin_turn() as turn:
        turn.decide(replace(decision, prediction=prediction), model)
        turn.record_filed(photo_id, None, work.now)


def test_a_photo_is_shown_with_its_predictions_and_faces(with_faces: None, run: Any) -> None:
    lines = run("log", "1").splitlines()
    assert lines[0] == "photo\tvalue"
    assert {"path\thappy/a.jpg", "status\tfiled", "confidence\t0.900"} <= set(lines)
    assert not [line for line in lines if line.startswith(("reason", "detail", "correction"))]
    assert "small@ab12cd34ef56\thappy\t0.900\thappy 0.900, sad 0.100\t1" in run("log", "1")
    assert lines[-2:] == [
        "prediction\tface\tbox\tscore\tlabel\tprobabilities",
        "1\t1\t80 × 90 at 12, 30\t0.980\thappy\thappy 0.750, sad 0.250",
    ]


def test_a_photo_without_a_prediction_is_shown_with_its_reason(filled: None, run: Any) -> None:
    lines = run("log", "2").splitlines()
    assert {"reason\tempty", "detail\tit is empty"} <= set(lines)
    assert not [line for line in lines if line.startswith("prediction")]


def test_programs_get_a_photo_as_one_object_or_its_row(with_faces: None, run: Any) -> None:
    photo = json.loads(run("log", "1", "--format", "json"))
    assert list(photo) == [*COLUMNS, "attempts", "predictions", "corrections"]
    assert photo["predictions"][0]["faces"][0]["box"] == [12.0, 30.0, 80.0, 90.0]
    (line,) = run("log", "1", "--format", "jsonl").splitlines()
    assert json.loads(line) == photo
    (row,) = csv.DictReader(io.StringIO(run("log", "1", "--format", "csv")))
    assert list(row) == [*COLUMNS, "attempts"]
    assert row["path"] == "happy/a.jpg"


def test_an_unknown_photo_is_an_error_of_one_line(filled: None, run: Any) -> None:
    with pytest.raises(MoodsortError, match=r"^photo 99: is not in the log; [^\n]*$") as raised:
        run("log", "99")
    assert raised.value.exit_status == 1


@pytest.mark.parametrize(
    "options", [("--label", "sad"), ("--since", "2d"), ("--limit", "50"), ("--order", "newest")]
)
def test_a_photo_and_a_selection_are_not_named_together(
    filled: None, run: Any, options: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(moodsort, ["log", "1", *options])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{options[0]} selects from the list" in result.stderr


LISTINGS = (("log",), ("log", "1"), ("stats",), ("doctor",), ("model", "list"), ("model", "show"))


@pytest.mark.parametrize("listing", LISTINGS, ids=" ".join)
def test_every_listing_in_a_pipe_has_tabs_and_no_padding(
    with_faces: None, database_url: str, tmp_path: Path, listing: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from worker.cli import main; main()", *listing],
        env={**os.environ, DATABASE_VARIABLE: database_url, "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) > 1
    cells = [cell for line in lines for cell in line.split("\t")]
    assert all("\t" in line for line in lines)
    assert not [cell for cell in cells if cell != cell.strip() or "  " in cell or not cell.isprintable()]


def test_the_newest_fifty_are_listed_unless_told_otherwise(store: Store, work: Any, run: Any) -> None:
    work.take_on(store, *(f"inbox/{number:02}.jpg" for number in range(60)))
    names = [json.loads(line)["name"] for line in run("log", "--format", "jsonl").splitlines()]
    assert names == [f"{number:02}.jpg" for number in range(59, 9, -1)]
    assert len(run("log", "--format", "jsonl", "--limit", "0").splitlines()) == 60


def test_every_filter_can_be_given(filled: None, run: Any) -> None:
    filters = (
        "--label", "happy", "--label", "sad", "--status", "filed", "--folder", "happy",
        "--since", "2026-02-28", "--until", "2026-03-02", "--min-confidence", "0.5", "--max-confidence", "1",
        "--name", "*.JPG", "--model", "small", "--order", "highest", "--limit", "5",
    )  # fmt: skip
    assert len(json.loads(run("log", "--format", "json", *filters))) == 1
    assert len(json.loads(run("log", "--format", "json", "--reason", "empty"))) == 1


def test_a_log_without_a_match_is_an_empty_list(filled: None, run: Any) -> None:
    assert json.loads(run("log", "--format", "json", "--label", "angry")) == []


def test_an_invalid_date_is_a_usage_error(filled: None, run: Any) -> None:
    with pytest.raises(ConfigError, match="'soon' is not a date or time"):
        run("log", "--since", "soon")


def test_stats_give_label_and_status_unless_told_otherwise(filled: None, run: Any) -> None:
    rows = json.loads(run("stats", "--format", "json"))
    assert {(row["label"], row["status"], row["photos"]) for row in rows} == {
        ("happy", "filed", 1),
        (None, "quarantined", 1),
        (None, "pending", 1),
    }
    assert sum(row["share"] for row in rows) == pytest.approx(1)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("day", [("2026-03-01", 3)]),
        ("label", [(None, 2), ("happy", 1)]),
        ("model", [(None, 2), ("small@ab12cd34ef56", 1)]),
        ("reason", [("empty", 1)]),
    ],
)
def test_stats_count_by_what_is_asked(
    filled: None, run: Any, monkeypatch: pytest.MonkeyPatch, by: str, expected: list[tuple[str | None, int]]
) -> None:
    rows = json.loads(run("stats", "--by", by, "--since", "2026-02-01", "--format", "json"))
    assert [(row[by], row["photos"]) for row in rows] == expected


def test_stats_for_people_are_in_percent_and_end_with_the_total(filled: None, run: Any) -> None:
    lines = [line.split("\t") for line in run("stats").splitlines()]
    assert {tuple(line[:4]) for line in lines[1:]} == {
        ("happy", "filed", "1", "33.3%"),
        ("", "quarantined", "1", "33.3%"),
        ("", "pending", "1", "33.3%"),
        ("total", "", "3", ""),
    }


def test_stats_of_an_empty_log_are_empty(store: Store, run: Any) -> None:
    assert json.loads(run("stats", "--format", "json")) == []


def test_db_upgrade_creates_the_log_and_current_shows_its_revision(run: Any, database_url: str) -> None:
    assert f"at revision {HEAD}" in run("db", "upgrade")
    assert f"at revision {HEAD}, the newest" in run("db", "current")


def test_db_current_of_an_older_database_names_the_remedy(store: Store, run: Any) -> None:
    with store.begin_turn() as turn:
        turn._connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert "`moodsort db upgrade` brings it to" in run("db", "current")


def test_log_and_stats_refuse_a_missing_log(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, sqlite_url)
    for command in ("log", "stats"):
        result = CliRunner().invoke(moodsort, [command])
        assert isinstance(result.exception, StoreError)
        assert "is not there yet" in str(result.exception)


@pytest.mark.parametrize("command", [["log"], ["log", "--format", "json"], ["stats"]])
def test_a_query_imports_nothing_that_it_does_not_need(
    filled: None, database_url: str, command: list[str]
) -> None:
    heavy = ["numpy", "PIL", "ai_edge_litert", "alembic", "watchdog", "sqlalchemy", "tensorflow"]
    program = (
        "import sys; from worker.cli import moodsort\n"
        f"moodsort.main({command!r}, standalone_mode=False)\n"
        f"sys.stderr.write(','.join(name for name in {heavy!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, DATABASE_VARIABLE: database_url},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout
