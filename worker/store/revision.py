"""Compare the schema of a database with the one that this program knows."""

from enum import Enum

from worker.errors import StoreError

HEAD = "0004"
"""The newest revision in ``migrations/versions``, as a test verifies.

Alembic could read it from there, but takes longer to import than a query takes to answer.
"""


class RevisionState(Enum):
    """The revision of a database, compared with `HEAD`."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def compare_revision(revision: str | None, head: str = HEAD) -> RevisionState:
    """Compare a revision with the newest known.

    Revisions are numbers of four digits in ascending order. Anything else was not made by this version of
    the program and counts as newer.
    """
    if revision is None:
        return RevisionState.EMPTY
    if revision == head:
        return RevisionState.CURRENT
    return RevisionState.OLDER if revision.isdecimal() and revision < head else RevisionState.NEWER


def make_newer_revision_error(where: str, revision: str | None, head: str = HEAD) -> StoreError:
    """Return the error of a database that this program is too old for."""
    return StoreError(
        f"{where}: was made by a newer moodsort (revision {revision}, this one knows {head}); "
        "upgrade moodsort"
    )
