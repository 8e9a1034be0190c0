"""Records as sentences and as JSON: one line each, whatever a file is called."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Reason
from worker.ops.logging import JsonLines, TextLines, configure_logging

LOGGERS = (None, "PIL", "alembic", "sqlalchemy", "watchdog")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, levels = list(root.handlers), [logging.getLogger(name).level for name in LOGGERS]
    root.handlers.clear()  # pytest's own are not to be closed by what is set up here
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    for name, level in zip(LOGGERS, levels, strict=True):
        logging.getLogger(name).setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make_record(
    message: str = "photo filed", level: int = logging.INFO, **fields: object
) -> logging.LogRecord:
    return logging.getLogger("worker.x").makeRecord(
        "worker.x", level, "x.py", 1, message, (), None, extra=fields
    )


def format_text(message: str = "photo filed", level: int = logging.INFO, **fields: object) -> str:
    line = TextLines().format(make_record(message, level, **fields))
    assert re.match(r"\d\d:\d\d:\d\d ", line)
    return line[9:]


def parse_json(**fields: object) -> dict[str, object]:
    line = JsonLines().format(make_record(**fields))  # type: ignore[arg-type]
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_a_json_line_has_time_level_logger_message_and_then_the_fields() -> None:
    log_record = make_record(event="filed", photo_id=7)
    log_record.created = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC).timestamp()
    assert list(json.loads(JsonLines().format(log_record)).items()) == [
        ("time", "2025-03-01T12:30:15.250Z"),
        ("level", "info"),
        ("logger", "worker.x"),
        ("message", "photo filed"),
        ("event", "filed"),
        ("photo_id", 7),
    ]


def test_paths_bytes_and_dates_become_types_of_json() -> None:
    parsed = parse_json(
        path=Path("inbox/\udcff.jpg"),
        name_raw=b"\xff.jpg",
        reason=Reason.EMPTY,
        at=datetime(2025, 1, 1, tzinfo=UTC),
        probabilities={"happy": 0.5},
        paths=(Path("a"), Path("b")),
        error=ValueError("no"),
        detail=None,
    )
    assert {key: parsed[key] for key in ("path", "name_raw", "reason", "at", "probabilities")} == {
        "path": r"inbox/\xff.jpg",
        "name_raw": r"\xff.jpg",
        "reason": "empty",
        "at": "2025-01-01T00:00:00.000Z",
        "probabilities": {"happy": 0.5},
    }
    assert (parsed["paths"], parsed["error"], parsed["detail"]) == (["a", "b"], "no", None)


@given(name=st.text(st.characters(codec=None)) | st.binary())
def test_whatever_a_file_is_called_a_record_is_one_line_that_can_be_encoded(name: str | bytes) -> None:
    for line in (
        TextLines().format(make_record(path=name)),
        TextLines().format(make_record(event="filed", path=name, to=name, label="sad", confidence=0.5)),
        JsonLines().format(make_record(path=name)),
    ):
        assert "\n" not in line
        line.encode("utf-8")


def test_a_filed_photo_reads_as_a_sentence() -> None:
    to = Path("happy/holiday.jpg")
    line = format_text(
        event="filed", photo_id=7, path=Path("inbox/holiday.jpg"), to=to, label="happy", confidence=0.9731
    )
    assert line == "inbox/holiday.jpg → happy/holiday.jpg (happy 0.97)"


def test_a_photo_in_review_reads_as_a_sentence_with_its_reason() -> None:
    line = format_text(
        event="review",
        path="a.jpg",
        to="review/a.jpg",
        label="sad",
        confidence=0.553,
        reason=Reason.UNSURE,
        detail="the confidence of sad is 0.553",
    )
    assert line == "a.jpg → review/a.jpg (sad 0.55, unsure)"


def test_a_quarantined_photo_reads_as_a_sentence() -> None:
    line = format_text(
        event="quarantined", path="a.jpg", to="quarantine/a.jpg", reason=Reason.DAMAGED, detail="is cut off"
    )
    assert line == "a.jpg → quarantine/a.jpg (damaged: is cut off)"


def test_start_reload_and_stop_read_as_sentences() -> None:
    start = format_text("ready", event="ready", path=Path("photos/inbox"), model="default@1")
    assert start == "moodsort is running with default@1: drop photos into photos/inbox"
    assert format_text("now using b@2", event="reloaded", path="inbox", model="b@2") == "now using b@2"
    assert format_text("stopped; 3 left", event="stopped", left=3) == "stopped; 3 left"


def test_an_event_with_other_fields_than_its_sentence_is_listed() -> None:
    assert format_text(event="filed", path="a.jpg", confidence=None) == "photo filed  path=a.jpg"


def test_fields_follow_the_message_readably() -> None:
    line = format_text(
        "watching", event="watching", folder=Path("my inbox"), seconds=2.0, files=3, said='"a"'
    )
    assert line == 'watching  folder="my inbox" seconds=2.000 files=3 said="\\"a\\""'


def test_a_level_above_info_is_named() -> None:
    assert format_text("the disk is full", logging.WARNING) == "warning: the disk is full"


def test_a_name_cannot_play_tricks_on_the_terminal() -> None:
    name = Path("a\n\x1b[2J\udcff")
    line = format_text(event="filed", path=name, to="sad/a", label="sad", confidence=1.0)
    assert line == r"a\n\x1b[2J\xff → sad/a (sad 1.00)"


def test_a_traceback_follows_its_sentence() -> None:
    log_record = make_record("stopped")
    try:
        raise ValueError("\udcff")
    except ValueError as error:
        log_record.exc_info = (ValueError, error, error.__traceback__)
    assert TextLines().format(log_record).endswith("ValueError: \\xff")
    assert json.loads(JsonLines().format(log_record))["exc_info"].endswith("ValueError: \\xff")


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json"),
    [
        ("auto", Terminal(), False),
        ("auto", io.StringIO(), True),
        ("text", io.StringIO(), False),
        ("json", Terminal(), True),
    ],
)
def test_auto_is_text_on_a_terminal_and_json_elsewhere(
    log_format: str, stream: io.StringIO, is_json: bool
) -> None:
    configure_logging("info", log_format, stream)
    logging.getLogger("worker").info("started")
    assert stream.getvalue().startswith("{") is is_json


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure_logging("warning", "text", stream)
    logging.getLogger("worker").info("started")
    assert stream.getvalue() == ""


def test_libraries_are_logged_from_warning_on_even_while_debugging() -> None:
    stream = io.StringIO()
    configure_logging("debug", "text", stream)
    logging.getLogger("watchdog.observers.inotify").info("noise")
    logging.getLogger("worker").debug("shown")
    logging.getLogger("sqlalchemy.pool").warning("shown too")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["shown", "warning: shown too"]


def test_libraries_are_no_louder_than_the_level() -> None:
    stream = io.StringIO()
    configure_logging("error", "text", stream)
    logging.getLogger("PIL.Image").warning("noise")
    assert stream.getvalue() == ""


def test_watchdogs_warnings_reach_the_watcher_even_where_they_are_not_shown() -> None:
    configure_logging("error", "text", io.StringIO())
    assert logging.getLogger("watchdog.observers.inotify_c").isEnabledFor(logging.WARNING)


def test_configuring_again_replaces_what_was_set_before() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", "text", first)
    configure_logging("info", "text", second)
    logging.getLogger("worker").info("started")
    assert first.getvalue() == ""
    assert second.getvalue().count("started") == 1
