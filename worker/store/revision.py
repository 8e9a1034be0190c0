"""Tell whether a database's schema is the one that this program knows."""

from enum import Enum

from worker.errors import StoreError

HEAD = "0001"
"""The newest revision in ``migrations/versions``, held equal to it by a test: Alembic, which could tell,
takes longer to import than a query takes to answer."""


class Standing(Enum):
    """How a database's revision compares with `HEAD`."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def standing(revision: str | None, head: str = HEAD) -> Standing:
    """Compare a revision with the newest known.

    Revisions are numbers of four digits, in the order in which they were made. One that is not such a
    number was not made by this program, and counts as newer.
    """
    if revision is None:
        return Standing.EMPTY
    if revision == head:
        return Standing.CURRENT
    return Standing.OLDER if revision.isdecimal() and revision < head else Standing.NEWER


def newer(where: str, found: str | None, head: str = HEAD) -> StoreError:
    """Return the refusal of a database that this program is too old for."""
    return StoreError(
        f"{where}: was made by a newer moodsort (revision {found}, this one knows {head}); upgrade moodsort"
    )
