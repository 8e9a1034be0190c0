"""Allow the reasons why a photo is in review, and give them to the photos that are there."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REASONS = """\
reason IN ('empty', 'not_an_image', 'damaged', 'too_many_bytes', 'too_many_pixels', 'unsupported', \
'unreadable', 'decoder_crashed', 'decode_timeout', 'unsure', 'no_face')"""

_OLD_REASONS = """\
reason IN ('empty', 'not_an_image', 'damaged', 'too_many_bytes', 'too_many_pixels', 'unsupported', \
'unreadable', 'decoder_crashed', 'decode_timeout')"""

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


def upgrade() -> None:
    # SQLite rebuilds the table, which the view must not refer to meanwhile.
    op.execute("DROP VIEW prediction_log")
    _replace_check(_REASONS)
    # Until now nothing but a low confidence led to review, and a folder that is no label's was its.
    op.execute(
        "UPDATE photos SET reason = 'unsure' WHERE reason IS NULL AND status IN ('decided', 'filed') "
        "AND folder <> (SELECT label FROM predictions WHERE predictions.id = "
        "(SELECT max(newest.id) FROM predictions AS newest WHERE newest.photo_id = photos.id))"
    )
    op.execute(_VIEW)


def downgrade() -> None:
    """Lose why photos are in review."""
    op.execute("DROP VIEW prediction_log")
    op.execute("UPDATE photos SET reason = NULL WHERE reason IN ('unsure', 'no_face')")
    _replace_check(_OLD_REASONS)
    op.execute(_VIEW)


def _replace_check(condition: str) -> None:
    with op.batch_alter_table("photos") as photos:
        photos.drop_constraint("ck_photos_reason", type_="check")
        photos.create_check_constraint("ck_photos_reason", condition)
