"""Rename the probabilities of the labels, which were called scores like those of the detector."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The key is replaced in the text of the JSON, since a log may hold a million rows. Nothing else matches: the
# value of a class that is called "scores" is a number, and quotes inside a name are escaped.
_RENAME_KEY = {
    "sqlite": """\
UPDATE predictions SET faces = replace(faces, '"scores": {', '"probabilities": {')
WHERE faces IS NOT NULL""",
    "postgresql": """\
UPDATE predictions SET faces = replace(faces::text, '"scores": {', '"probabilities": {')::jsonb
WHERE faces IS NOT NULL""",
}

_RENAME_KEY_BACK = {
    "sqlite": """\
UPDATE predictions SET faces = replace(faces, '"probabilities": {', '"scores": {')
WHERE faces IS NOT NULL""",
    "postgresql": """\
UPDATE predictions SET faces = replace(faces::text, '"probabilities": {', '"scores": {')::jsonb
WHERE faces IS NOT NULL""",
}

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
    _execute_literally(_RENAME_KEY)
    op.execute(_VIEW)


def downgrade() -> None:
    """Lose nothing."""
    op.execute("DROP VIEW prediction_log")
    op.execute("ALTER TABLE predictions RENAME COLUMN probabilities TO scores")
    _execute_literally(_RENAME_KEY_BACK)
    op.execute(_VIEW.replace("probabilities", "scores"))


def _execute_literally(statements: dict[str, str]) -> None:
    # Past op.execute(), which would take the colons for parameters.
    connection = op.get_bind()
    connection.exec_driver_sql(statements[connection.dialect.name])
