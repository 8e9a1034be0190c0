"""Tell whether a database's schema is the one that this program knows."""

from enum import Enum

from worker.errors import StoreError

HEAD = "0002"
"""The newest revision in ``migrations/versions``, held equal to it by a test: Alembic, which could tell,
takes longer to import than a query takes to answer."""


class RevisionState(Enum):
    """How a database's revision compares with `HEAD`."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def compare_revision(revision: str | None, head: str = HEAD) -> RevisionState:
    """Compare a revision with the newest known.

    Revisions are numbers of four digits, in the order in which they were made. One that is not such a
    number was not made by this program, and counts as newer.
    """
    if revision is None:
        return RevisionState.EMPTY
    if revision == head:
        return RevisionState.CURRENT
    return RevisionState.OLDER if revision.isdecimal() and revision < head else RevisionState.NEWER


def refuse_newer(where: str, found: str | None, head: str = HEAD) -> StoreError:
    """Return the refusal of a database that this program is too old for."""
    return StoreError(
        f"{where}: was made by a newer moodsort (revision {found}, this one knows {head}); upgrade moodsort"
    )
