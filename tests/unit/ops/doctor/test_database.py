"""The doctor's checks of the database."""

from pathlib import Path

import pytest

from worker.errors import StoreError, Transient
from worker.ops.doctor.database import check_database, check_sqlite, find_database_folder
from worker.ops.doctor.result import CheckResult, CheckState
from worker.store.revision import HEAD

SERVER = "postgresql://ada:secret@nas/moodsort"


def test_a_database_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    (result,) = check_database(f"sqlite:///{tmp_path}/moodsort.db")
    assert result == CheckResult(
        "database", CheckState.OK, f"{tmp_path}/moodsort.db is not there yet; the worker makes it"
    )


@pytest.mark.parametrize(
    ("revision", "state", "remedy"),
    [
        (HEAD, CheckState.OK, ""),
        (None, CheckState.OK, ""),
        ("0000", CheckState.WARN, "moodsort db upgrade (the worker does it when it starts)"),
        ("9999", CheckState.FAIL, "upgrade moodsort"),
    ],
)
def test_a_schema_is_older_newer_or_right(revision: str | None, state: CheckState, remedy: str) -> None:
    (result,) = check_database(SERVER, lambda _: revision)
    assert (result.state, result.remedy) == (state, remedy)
    assert "secret" not in result.found


@pytest.mark.parametrize("kind", [StoreError, Transient])
def test_a_database_that_does_not_answer_fails_with_its_own_remedy(kind: type[StoreError]) -> None:
    def refuse(_: str) -> str | None:
        raise kind("nas: the connection was refused (no; really); check that the server runs")

    assert list(check_database(SERVER, refuse)) == [
        CheckResult(
            "database",
            CheckState.FAIL,
            "nas: the connection was refused (no; really)",
            "check that the server runs",
        )
    ]


def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    (tmp_path / "moodsort.db").write_text("Dear diary, " * 100)
    (result,) = check_database(f"sqlite:///{tmp_path}/moodsort.db")
    assert (result.state, result.remedy) == (CheckState.FAIL, "name another file in database.url")


@pytest.mark.parametrize(
    ("version", "journal"),
    [((3, 40, 1), "rollback journal"), ((3, 51, 2), "rollback journal"), ((3, 51, 3), "write-ahead log")],
)
def test_the_version_of_sqlite_tells_the_journal(version: tuple[int, ...], journal: str) -> None:
    (result,) = check_sqlite("sqlite:////var/moodsort.db", version)
    assert (result.state, journal in result.found) == (CheckState.OK, True)


def test_sqlite_does_not_matter_where_a_server_keeps_the_log() -> None:
    assert list(check_sqlite(SERVER)) == []
    assert find_database_folder(SERVER) is None
