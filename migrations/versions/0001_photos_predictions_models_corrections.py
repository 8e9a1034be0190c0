"""Create the log: photos, predictions, models, corrections and the view over them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUS = "status IN ('pending', 'decided', 'filed', 'quarantined', 'missing')"
_REASON = (
    "reason IN ('empty', 'not_an_image', 'damaged', 'too_many_bytes', 'too_many_pixels', 'unsupported', "
    "'unreadable', 'decoder_crashed', 'decode_timeout')"
)
_ORIGIN = "origin IN ('command', 'moved', 'web')"
_ACTIVE = "status IN ('pending', 'decided')"

_VIEW = """\
CREATE VIEW prediction_log AS
SELECT
    photos.id AS id,
    photos.name AS name,
    photos.folder AS folder,
    photos.path AS path,
    photos.source_path AS source_path,
    predictions.label AS label,
    predictions.confidence AS confidence,
    predictions.scores AS scores,
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


def upgrade() -> None:
    _create_photos()
    _create_models()
    _create_predictions()
    _create_corrections()
    op.execute(_VIEW)


def downgrade() -> None:
    """Lose the whole log."""
    op.execute("DROP VIEW prediction_log")
    for name in ("corrections", "predictions", "models", "photos"):
        op.drop_table(name)


def _make_json_type() -> sa.types.TypeEngine[object]:
    return sa.JSON().with_variant(JSONB(), "postgresql")


def _create_photos() -> None:
    op.create_table(
        "photos",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("source_path", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("source_path_raw", sa.LargeBinary),
        sa.Column("path_raw", sa.LargeBinary),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("received_at", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Text),
        sa.Column("filed_at", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.CheckConstraint(_STATUS, name="ck_photos_status"),
        sa.CheckConstraint(_REASON, name="ck_photos_reason"),
    )
    op.create_index("ix_photos_received_at", "photos", ["received_at"])
    op.create_index("ix_photos_status", "photos", ["status"])
    for column, where in (
        ("source_path", "source_path_raw IS NULL"),
        ("source_path_raw", "source_path_raw IS NOT NULL"),
    ):
        active = sa.text(f"{_ACTIVE} AND {where}")
        name = f"uq_photos_active_{column}"
        op.create_index(name, "photos", [column], unique=True, sqlite_where=active, postgresql_where=active)


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("classes", _make_json_type(), nullable=False),
        sa.Column("metrics", _make_json_type(), nullable=False),
        sa.Column("first_used_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", "version", name="uq_models_name_version"),
    )


def _create_predictions() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("photo_id", sa.Integer, nullable=False),
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("scores", _make_json_type(), nullable=False),
        sa.Column("faces", _make_json_type()),
        sa.Column("predicted_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_predictions_photo_id_photos"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_predictions_model_id_models"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="ck_predictions_confidence"),
    )
    op.create_index("ix_predictions_photo_id_id", "predictions", ["photo_id", "id"])
    op.create_index("ix_predictions_label", "predictions", ["label"])


def _create_corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("photo_id", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("previous_label", sa.Text),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("corrected_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_corrections_photo_id_photos"),
        sa.CheckConstraint(_ORIGIN, name="ck_corrections_origin"),
    )
    op.create_index("ix_corrections_photo_id_id", "corrections", ["photo_id", "id"])
