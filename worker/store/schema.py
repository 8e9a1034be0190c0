"""The tables and the view as they are after the newest migration."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from worker.errors import Reason
from worker.store.records import Status
from worker.store.times import format_time, parse_time

ACTIVE = (Status.PENDING, Status.DECIDED)
"""The states of a photo that a worker has in hand, or had when it was stopped."""

ORIGINS = ("command", "moved", "web")
"""How a person corrects a label: by a command, by moving the photo to another folder, on the web page."""

ACTION_KINDS = ("file", "correct", "undo", "requeue", "reclassify", "sidecar")
ACTION_ORIGINS = ("worker", *ORIGINS)
MOVE_STATES = ("asked", "decided", "done", "refused")

# A migration can drop a constraint only by its name.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as text: both databases sort and compare it alike."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Convert a time to text."""
        return None if value is None else format_time(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert text to a time."""
        return None if value is None else parse_time(value)


class Unsigned64(TypeDecorator[int]):
    """A device or an inode: 64 bits without a sign, which the databases store with one."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Convert to the signed number of the same bits."""
        return value - (1 << 64) if value is not None and value >= 1 << 63 else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        """Convert back."""
        return value + (1 << 64) if value is not None and value < 0 else value


def _build_membership_check(column: str, words: Iterable[str | StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


# None becomes NULL, as in the other columns, and not the JSON value null.
_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_IS_ACTIVE = _build_membership_check("status", ACTIVE)

photos = Table(
    "photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("source_path", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("source_path_raw", LargeBinary),
    Column("path_raw", LargeBinary),
    Column("folder", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("sha256", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("attempts", Integer, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime),
    Column("filed_at", UtcTime),
    Column("source_device", Unsigned64),
    Column("source_inode", Unsigned64),
    Column("source_mtime_ns", BigInteger),
    Column("device", Unsigned64),
    Column("inode", Unsigned64),
    Column("mtime_ns", BigInteger),
    CheckConstraint(_build_membership_check("status", Status), name="status"),
    CheckConstraint(_build_membership_check("reason", Reason), name="reason"),
    Index(None, "received_at"),
    Index(None, "status"),
)

# A source path may come again once its photo is finished, and undecodable paths may be displayed alike.
for _name, _column, _where in (
    ("uq_photos_active_source_path", photos.c.source_path, "source_path_raw IS NULL"),
    ("uq_photos_active_source_path_raw", photos.c.source_path_raw, "source_path_raw IS NOT NULL"),
):
    _condition = text(f"{_IS_ACTIVE} AND {_where}")
    Index(_name, _column, unique=True, sqlite_where=_condition, postgresql_where=_condition)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("classes", _JSON, nullable=False),
    Column("metrics", _JSON, nullable=False),
    Column("first_used_at", UtcTime, nullable=False),
    UniqueConstraint("name", "version"),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", ForeignKey("photos.id"), nullable=False),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("probabilities", _JSON, nullable=False),
    Column("faces", _JSON),
    Column("predicted_at", UtcTime, nullable=False),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
    Index(None, "photo_id", "id"),
    Index(None, "label"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", ForeignKey("photos.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("previous_label", Text),
    Column("origin", Text, nullable=False),
    Column("corrected_at", UtcTime, nullable=False),
    CheckConstraint(_build_membership_check("origin", ORIGINS), name="origin"),
    Index(None, "photo_id", "id"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("photos", Integer, nullable=False),
    Column("undone_by", ForeignKey("actions.id")),
    Column("detail", Text),
    CheckConstraint(_build_membership_check("kind", ACTION_KINDS), name="kind"),
    CheckConstraint(_build_membership_check("origin", ACTION_ORIGINS), name="origin"),
)

moves = Table(
    "moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("action_id", ForeignKey("actions.id"), nullable=False),
    Column("photo_id", ForeignKey("photos.id"), nullable=False),
    Column("from_path", Text, nullable=False),
    Column("to_path", Text, nullable=False),
    Column("from_path_raw", LargeBinary),
    Column("to_path_raw", LargeBinary),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("decided_at", UtcTime),
    Column("done_at", UtcTime),
    CheckConstraint(_build_membership_check("state", MOVE_STATES), name="state"),
    Index(None, "action_id"),
    Index(None, "photo_id", "id"),
)

# A photo is on one way at a time. Also how moves that are under way are found among all that are done.
_is_under_way = text("state IN ('asked', 'decided')")
Index(
    "uq_moves_photo_id_under_way",
    moves.c.photo_id,
    unique=True,
    sqlite_where=_is_under_way,
    postgresql_where=_is_under_way,
)

PREDICTION_LOG = """\
CREATE VIEW prediction_log AS
SELECT
    photos.id AS id,
    photos.name AS name,
    photos.folder AS folder,
    photos.path AS path,
    photos.source_path AS source_path,
    predictions.label AS label,
    predictions.confidence AS confidence,
    predictions.probabilities AS probabilities,
    photos.status AS status,
    photos.reason AS reason,
    photos.detail AS detail,
    corrections.label AS corrected_label,
    models.name || '@' || models.version AS model,
    photos.sha256 AS sha256,
    photos.size_bytes AS size_bytes,
    photos.width AS width,
    photos.height AS height,
    photos.received_at AS received_at,
    photos.decided_at AS decided_at,
    photos.filed_at AS filed_at
FROM photos
LEFT JOIN predictions ON predictions.id = (
    SELECT max(newest.id) FROM predictions AS newest WHERE newest.photo_id = photos.id
)
LEFT JOIN models ON models.id = predictions.model_id
LEFT JOIN corrections ON corrections.id = (
    SELECT max(newest.id) FROM corrections AS newest WHERE newest.photo_id = photos.id
)"""
