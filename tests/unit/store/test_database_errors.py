import pytest

from worker.errors import Locked, MoodsortError, StoreError, Transient
from worker.store.database_errors import translate_postgres_error, translate_sqlite_error
from worker.store.sqlite import sqlite3


def _make_sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as the driver says it")
    error.sqlite_errorcode = code
    return error


class _PostgresError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("server closed\n\tthe connection")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (517, Locked, "locked by another program"),
        (sqlite3.SQLITE_FULL, Transient, "the disk is full"),
        (1034, Transient, "the disk reports an error"),
        (1032, Transient, "cannot be written"),
        (sqlite3.SQLITE_CORRUPT, StoreError, "damaged"),
        (sqlite3.SQLITE_NOTADB, StoreError, "not a moodsort database"),
    ],
)
def test_an_error_of_sqlite_becomes_one_line(code: int, kind: type[MoodsortError], words: str) -> None:
    failure = translate_sqlite_error("moodsort.db", _make_sqlite_error(code))
    assert type(failure) is kind
    assert str(failure).startswith("moodsort.db: ")
    assert words in str(failure)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_ERROR, 275])
def test_an_error_in_our_sql_is_not_taken_for_one_of_sqlite(code: int) -> None:
    assert translate_sqlite_error("moodsort.db", _make_sqlite_error(code)) is None


@pytest.mark.parametrize(
    ("sqlstate", "kind", "words"),
    [
        ("53100", Transient, "disk is full"),
        ("55P03", Locked, "locked by another program"),
        ("25006", Transient, "read-only"),
        ("XX001", StoreError, "damaged"),
        ("42501", StoreError, "grant the rights"),
        (None, Transient, "server closed the connection"),
    ],
)
def test_an_error_of_postgresql_becomes_one_line(
    sqlstate: str | None, kind: type[MoodsortError], words: str
) -> None:
    failure = translate_postgres_error("postgresql://host", _PostgresError(sqlstate), is_operational=True)
    assert type(failure) is kind
    assert words in str(failure)
    assert "\n" not in str(failure)


def test_an_error_in_our_sql_is_not_taken_for_one_of_postgresql() -> None:
    assert (
        translate_postgres_error("postgresql://host", _PostgresError("42P01"), is_operational=False) is None
    )
