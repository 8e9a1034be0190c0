"""Let rows know their files by identity, and record every change of place as a move of an action."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_IDENTITY = ("source_device", "source_inode", "source_mtime_ns", "device", "inode", "mtime_ns")

_KIND = "kind IN ('file', 'correct', 'undo', 'requeue', 'reclassify', 'sidecar')"
_ORIGIN = "origin IN ('worker', 'command', 'moved', 'web')"
_STATE = "state IN ('asked', 'decided', 'done', 'refused')"
_UNDER_WAY = "state IN ('asked', 'decided')"


def upgrade() -> None:
    # The identities of photos that are filed already are not known: they stay empty.
    for name in _IDENTITY:
        op.add_column("photos", sa.Column(name, sa.BigInteger))
    _create_actions()
    _create_moves()


def downgrade() -> None:
    """Lose the identities of files and the history of moves."""
    op.drop_table("moves")
    op.drop_table("actions")
    for name in _IDENTITY:
        op.drop_column("photos", name)


def _create_actions() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text),
        sa.Column("ended_at", sa.Text),
        sa.Column("photos", sa.Integer, nullable=False),
        sa.Column("undone_by", sa.Integer),
        sa.Column("detail", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_actions"),
        sa.ForeignKeyConstraint(["undone_by"], ["actions.id"], name="fk_actions_undone_by_actions"),
        sa.CheckConstraint(_KIND, name="ck_actions_kind"),
        sa.CheckConstraint(_ORIGIN, name="ck_actions_origin"),
    )


def _create_moves() -> None:
    op.create_table(
        "moves",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("action_id", sa.Integer, nullable=False),
        sa.Column("photo_id", sa.Integer, nullable=False),
        sa.Column("from_path", sa.Text, nullable=False),
        sa.Column("to_path", sa.Text, nullable=False),
        sa.Column("from_path_raw", sa.LargeBinary),
        sa.Column("to_path_raw", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("decided_at", sa.Text),
        sa.Column("done_at", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_moves"),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name="fk_moves_action_id_actions"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_moves_photo_id_photos"),
        sa.CheckConstraint(_STATE, name="ck_moves_state"),
    )
    op.create_index("ix_moves_action_id", "moves", ["action_id"])
    op.create_index("ix_moves_photo_id_id", "moves", ["photo_id", "id"])
    under_way = sa.text(_UNDER_WAY)
    op.create_index(
        "uq_moves_photo_id_under_way",
        "moves",
        ["photo_id"],
        unique=True,
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
