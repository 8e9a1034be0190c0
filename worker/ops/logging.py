"""Configure logging: sentences for a person at a terminal, JSON lines for everything else."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS, merge_record_extra
from pythonjsonlogger.json import JsonFormatter

from worker.paths import escape_unprintable, format_path

_NOISY_LIBRARIES = ("PIL", "alembic", "sqlalchemy", "watchdog")
"""Below warning, these log what only their own authors need."""

_SENTENCES = {
    "filed": "{path} → {to} ({label} {confidence:.2f})",
    "review": "{path} → {to} ({label} {confidence:.2f}, {reason})",
    "quarantined": "{path} → {to} ({reason}: {detail})",
    "photos_missing": "filed photos missing from their folders: {count}",
    "photos_returned": "filed photos in their folders again: {count}",
    "ready": "moodsort is running with {model}: drop photos into {path}",
    "reloaded": "{message}",
    "stopped": "{message}",
    "summary": "{message}",
}
"""The everyday events as a terminal shows them; any other event is its message, then its fields."""


def configure_logging(level: str, log_format: str, stream: TextIO) -> None:
    """Send records of `level` ("debug", "info", "warning" or "error") and above to the stream alone.

    `log_format` is "text", "json", or "auto": text where the stream is a terminal, else JSON lines. Each call
    replaces the configuration of the one before.
    """
    is_text = stream.isatty() if log_format == "auto" else log_format == "text"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextLines() if is_text else JsonLines())
    # On the handler too: a logger with a level of its own, as below, does not ask the root's.
    handler.setLevel(level.upper())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY_LIBRARIES:
        # Not above warning, whatever is shown: the watcher learns from watchdog's that events were lost.
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class JsonLines(JsonFormatter):
    """One JSON object to a line: time (UTC), level, logger, message and the record's own fields."""

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message"],
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the record's time as ISO 8601, to the millisecond."""
        return _format_time(datetime.fromtimestamp(record.created, UTC))

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Convert every field to JSON's types."""
        return {key: _convert_to_json(value) for key, value in log_data.items()} | {
            "level": log_data["level"].lower()
        }


class TextLines(logging.Formatter):
    """The local time and a sentence; a record above info names its level."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the sentence; no name of a file can break its line or steer the terminal."""
        fields = {key: _escape(_convert_to_json(value)) for key, value in _collect_fields(record).items()}
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        message = escape_unprintable(_make_encodable(record.getMessage()))
        return f"{record.asctime} {level}{_compose_sentence(message, fields)}"

    def format(self, record: logging.LogRecord) -> str:
        """Add a traceback, where there is one, below the sentence."""
        return _make_encodable(super().format(record))


def _compose_sentence(message: str, fields: dict[str, Any]) -> str:
    event = fields.pop("event", None)
    if event in _SENTENCES:
        try:
            return _SENTENCES[event].format_map(fields | {"message": message})
        except (KeyError, TypeError, ValueError):
            pass  # this record has other fields than the sentence expects; they are listed instead
    assignments = " ".join(f"{key}={_quote(value)}" for key, value in fields.items() if value is not None)
    return f"{message}  {assignments}" if assignments else message


def _collect_fields(record: logging.LogRecord) -> dict[str, Any]:
    return merge_record_extra(record, {}, reserved=RESERVED_ATTRS)


def _quote(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if text and not set(text) & set(' "='):
        return text
    return '"{}"'.format(text.replace('"', '\\"'))


def _escape(value: object) -> object:
    return escape_unprintable(value) if isinstance(value, str) else value


def _convert_to_json(value: object) -> Any:
    """Return the value in JSON's types, with paths as `format_path` writes them."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _make_encodable(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Path):
        return format_path(value)
    if isinstance(value, datetime):
        return _format_time(value)
    if isinstance(value, Mapping):
        return {_make_encodable(str(key)): _convert_to_json(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_convert_to_json(item) for item in value]
    return _make_encodable(str(value))


def _make_encodable(text: str) -> str:
    r"""Return text that can be encoded: the bytes of a name that are not UTF-8 become ``\xNN``."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a UTF-16 pair, which stands for no byte
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _format_time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
