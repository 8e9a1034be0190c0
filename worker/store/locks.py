"""Hold photos against other workers, where a database is shared.

On PostgreSQL a session-level advisory lock says which worker has a photo in hand: it ends with the
connection, so a worker that dies lets go of its photos. SQLite has one worker, which has them all.
"""

from collections.abc import Collection

from sqlalchemy import ARRAY, Connection, Integer, bindparam, text

_NAMESPACE = 0x6D6F6F64  # "mood" in ASCII; keeps our locks apart from those of other programs
_SCHEMA = 0  # no photo has this id

_IDS = bindparam("ids", type_=ARRAY(Integer))
_TAKE = text("SELECT id FROM unnest(:ids) AS id WHERE pg_try_advisory_lock(:namespace, id)").bindparams(_IDS)
_RELEASE = text("SELECT pg_advisory_unlock(:namespace, id) FROM unnest(:ids) AS id").bindparams(_IDS)
_HOLD_SCHEMA = text("SELECT pg_advisory_xact_lock(:namespace, :schema)")


def take_photos(connection: Connection, photo_ids: Collection[int]) -> set[int]:
    """Take the photos that no other worker holds, and return their ids."""
    if not photo_ids or connection.dialect.name == "sqlite":
        return set(photo_ids)
    taken = connection.execute(_TAKE, {"ids": list(photo_ids), "namespace": _NAMESPACE})
    return set(taken.scalars())


def release_photos(connection: Connection, photo_ids: Collection[int]) -> None:
    """Let go of photos that were taken, once for each time they were."""
    if photo_ids and connection.dialect.name != "sqlite":
        connection.execute(_RELEASE, {"ids": list(photo_ids), "namespace": _NAMESPACE})


def hold_schema(connection: Connection) -> None:
    """Wait for other processes that upgrade this database, until the transaction ends."""
    if connection.dialect.name != "sqlite":
        connection.execute(_HOLD_SCHEMA, {"namespace": _NAMESPACE, "schema": _SCHEMA})
