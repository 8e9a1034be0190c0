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


def record(message: str = "photo filed", level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    return logging.getLogger("worker.x").makeRecord(
        "worker.x", level, "x.py", 1, message, (), None, extra=fields
    )


def text(message: str = "photo filed", level: int = logging.INFO, **fields: object) -> str:
    line = TextLines().format(record(message, level, **fields))
    assert re.match(r"\d\d:\d\d:\d\d ", line)
    return line[9:]


def parsed(**fields: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(JsonLines().format(record(**fields)))  # type: ignore[arg-type]
    return found


def test_a_json_line_says_when_how_grave_where_and_what_and_then_the_fields() -> None:
    made = record(event="filed", photo_id=7)
    made.created = datetime(2025, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC).timestamp()
    assert list(json.loads(JsonLines().format(made)).items()) == [
        ("time", "2025-03-01T12:30:15.250Z"),
        ("level", "info"),
        ("logger", "worker.x"),
        ("message", "photo filed"),
        ("event", "filed"),
        ("photo_id", 7),
    ]


def test_names_and_records_become_what_json_can_hold() -> None:
    found = parsed(
        path=Path("inbox/\udcff.jpg"),
        name_raw=b"\xff.jpg",
        reason=Reason.EMPTY,
        at=datetime(2025, 1, 1, tzinfo=UTC),
        scores={"happy": 0.5},
        paths=(Path("a"), Path("b")),
        error=ValueError("no"),
        detail=None,
    )
    assert {key: found[key] for key in ("path", "name_raw", "reason", "at", "scores")} == {
        "path": r"inbox/\xff.jpg",
        "name_raw": r"\xff.jpg",
        "reason": "empty",
        "at": "2025-01-01T00:00:00.000Z",
        "scores": {"happy": 0.5},
    }
    assert (found["paths"], found["error"], found["detail"]) == (["a", "b"], "no", None)


@given(name=st.text(st.characters(codec=None)) | st.binary())
def test_whatever_a_file_is_called_a_record_is_one_line_that_can_be_encoded(name: str | bytes) -> None:
    for line in (
        TextLines().format(record(path=name)),
        TextLines().format(record(event="filed", path=name, to=name, label="sad", confidence=0.5)),
        JsonLines().format(record(path=name)),
    ):
        assert "\n" not in line
        line.encode("utf-8")


def test_a_filed_photo_reads_as_a_sentence() -> None:
    to = Path("happy/holiday.jpg")
    line = text(
        event="filed", photo_id=7, path=Path("inbox/holiday.jpg"), to=to, label="happy", confidence=0.9731
    )
    assert line == "inbox/holiday.jpg → happy/holiday.jpg (happy 0.97)"


def test_a_quarantined_photo_reads_as_a_sentence() -> None:
    line = text(
        event="quarantined", path="a.jpg", to="quarantine/a.jpg", reason=Reason.DAMAGED, detail="is cut off"
    )
    assert line == "a.jpg → quarantine/a.jpg (damaged: is cut off)"


def test_an_event_with_other_fields_than_its_sentence_is_listed() -> None:
    assert text(event="filed", path="a.jpg", confidence=None) == "photo filed  path=a.jpg"


def test_fields_follow_the_message_readably() -> None:
    line = text("watching", event="watching", folder=Path("my inbox"), seconds=2.0, files=3, said='"a"')
    assert line == 'watching  folder="my inbox" seconds=2.000 files=3 said="\\"a\\""'


def test_what_is_graver_than_info_says_so() -> None:
    assert text("the disk is full", logging.WARNING) == "warning: the disk is full"


def test_a_name_cannot_play_tricks_on_the_terminal() -> None:
    name = Path("a\n\x1b[2J\udcff")
    line = text(event="filed", path=name, to="sad/a", label="sad", confidence=1.0)
    assert line == r"a\n\x1b[2J\xff → sad/a (sad 1.00)"


def test_a_traceback_follows_its_sentence() -> None:
    made = record("stopped")
    try:
        raise ValueError("\udcff")
    except ValueError as error:
        made.exc_info = (ValueError, error, error.__traceback__)
    assert TextLines().format(made).endswith("ValueError: \\xff")
    assert json.loads(JsonLines().format(made))["exc_info"].endswith("ValueError: \\xff")


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


def test_what_is_under_the_level_is_not_said() -> None:
    stream = io.StringIO()
    configure_logging("warning", "text", stream)
    logging.getLogger("worker").info("started")
    assert stream.getvalue() == ""


def test_libraries_are_heard_from_warning_on_even_while_debugging() -> None:
    stream = io.StringIO()
    configure_logging("debug", "text", stream)
    logging.getLogger("watchdog.observers.inotify").info("chatter")
    logging.getLogger("worker").debug("heard")
    logging.getLogger("sqlalchemy.pool").warning("heard too")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["heard", "warning: heard too"]


def test_libraries_are_no_louder_than_the_level() -> None:
    stream = io.StringIO()
    configure_logging("error", "text", stream)
    logging.getLogger("PIL.Image").warning("chatter")
    assert stream.getvalue() == ""


def test_watchdogs_warnings_reach_those_who_listen_even_where_they_are_not_shown() -> None:
    configure_logging("error", "text", io.StringIO())
    assert logging.getLogger("watchdog.observers.inotify_c").isEnabledFor(logging.WARNING)


def test_configuring_again_replaces_what_was_set_before() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", "text", first)
    configure_logging("info", "text", second)
    logging.getLogger("worker").info("started")
    assert first.getvalue() == ""
    assert second.getvalue().count("started") == 1
