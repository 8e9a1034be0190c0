"""Call the probabilities of the labels by that name; a score is a detector's."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

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
    op.execute("DROP VIEW prediction_log")
    op.execute("ALTER TABLE predictions RENAME COLUMN scores TO probabilities")
    # As text, since a log may hold a million rows. A class may be called "scores" as well, but its value is
    # a number, and quotes inside of a name are escaped.
    text, json = ("faces", "") if op.get_bind().dialect.name == "sqlite" else ("faces::text", "::jsonb")
    renamed = f"""replace({text}, '"scores": {{', '"probabilities": {{'){json}"""
    op.get_bind().exec_driver_sql(f"UPDATE predictions SET faces = {renamed} WHERE faces IS NOT NULL")  # noqa: S608
    op.execute(_VIEW)
