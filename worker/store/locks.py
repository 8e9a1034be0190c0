"""Lock photos against other workers that share the database.

On PostgreSQL a session-level advisory lock says which worker has a photo in hand. The lock ends with the
connection, so that a worker that dies releases its photos. An SQLite database has one worker, which has them
all.
"""

from collections.abc import Collection

from sqlalchemy import ARRAY, Connection, Integer, bindparam, text

_NAMESPACE = 0x6D6F6F64  # "mood" in ASCII: separates our locks from those of other programs
_SCHEMA = 0  # ids of photos begin at 1

_IDS = bindparam("ids", type_=ARRAY(Integer))
_LOCK = text("SELECT id FROM unnest(:ids) AS id WHERE pg_try_advisory_lock(:namespace, id)").bindparams(_IDS)
_UNLOCK = text("SELECT pg_advisory_unlock(:namespace, id) FROM unnest(:ids) AS id").bindparams(_IDS)
_LOCK_SCHEMA = text("SELECT pg_advisory_xact_lock(:namespace, :schema)")


def lock_photos(connection: Connection, photo_ids: Collection[int]) -> set[int]:
    """Lock the photos that no other worker has locked, and return their ids."""
    if not photo_ids or connection.dialect.name == "sqlite":
        return set(photo_ids)
    locked_ids = connection.execute(_LOCK, {"ids": list(photo_ids), "namespace": _NAMESPACE})
    return set(locked_ids.scalars())


def unlock_photos(connection: Connection, photo_ids: Collection[int]) -> None:
    """Unlock photos once; one that was locked twice stays locked until the second call."""
    if photo_ids and connection.dialect.name != "sqlite":
        connection.execute(_UNLOCK, {"ids": list(photo_ids), "namespace": _NAMESPACE})


def lock_schema(connection: Connection) -> None:
    """Keep other processes from upgrading this database until the transaction ends."""
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK_SCHEMA, {"namespace": _NAMESPACE, "schema": _SCHEMA})
