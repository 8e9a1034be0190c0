"""`moodsort db backup`: whole or not at all, never over a file, and beside a worker that writes."""

import errno
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from worker.cli import moodsort
from worker.config import DATABASE_VARIABLE
from worker.errors import StoreError
from worker.store import Store, backup, open_store
from worker.store.read_connection import read_revision
from worker.store.revision import HEAD


def _invoke(url: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    return CliRunner().invoke(moodsort, ["db", "backup", str(path)])


@pytest.fixture
def writing_store(sqlite_url: str, work: Any) -> Any:
    store = open_store(sqlite_url)
    work.take_on(store, "inbox/a.jpg")
    yield store
    store.close()


def test_a_backup_has_what_was_committed_while_a_worker_is_in_its_transaction(
    writing_store: Store, sqlite_url: str, tmp_path: Path, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.db"
    with writing_store.begin_turn() as turn:
        work.take_on_in(turn, "inbox/b.jpg")
        assert _invoke(sqlite_url, copy, monkeypatch).exception is None
    assert work.query(f"sqlite:///{copy}", "SELECT name FROM photos") == [("a.jpg",)]
    assert work.query(sqlite_url, "SELECT count(*) FROM photos") == [(2,)]
    assert read_revision(f"sqlite:///{copy}") == HEAD
    assert list(tmp_path.glob(".copy*")) == []


def test_a_backup_is_as_private_as_the_log(
    writing_store: Store, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(sqlite_url.removeprefix("sqlite:///")).chmod(0o600)
    _invoke(sqlite_url, tmp_path / "copy.db", monkeypatch)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_nothing_that_is_there_is_replaced(
    writing_store: Store, sqlite_url: str, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.db"
    {
        "file": lambda: copy.write_bytes(b"mine"),
        "link": lambda: copy.symlink_to("nowhere"),
        "folder": copy.mkdir,
    }[kind]()
    result = _invoke(sqlite_url, copy, monkeypatch)
    assert isinstance(result.exception, StoreError)
    assert "is there already" in str(result.exception)
    assert copy.read_bytes() == b"mine" if kind == "file" else copy.is_symlink() or copy.is_dir()


def test_a_file_that_comes_meanwhile_is_not_replaced(
    writing_store: Store, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.db"
    monkeypatch.setattr(backup, "sync_path", lambda _: copy.write_bytes(b"mine"))
    result = _invoke(sqlite_url, copy, monkeypatch)
    assert "is there already" in str(result.exception)
    assert copy.read_bytes() == b"mine"
    assert list(tmp_path.glob(".copy*")) == []


def test_a_backup_that_is_not_durable_is_not_there(
    writing_store: Store, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(backup, "sync_path", fail)
    result = _invoke(sqlite_url, tmp_path / "copy.db", monkeypatch)
    assert "cannot be written" in str(result.exception)
    assert list(tmp_path.glob("*copy*")) == []


def test_where_no_rename_is_exclusive_a_link_is(
    writing_store: Store, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(backup, "rename_without_replacing", refuse)
    assert _invoke(sqlite_url, tmp_path / "copy.db", monkeypatch).exception is None
    assert read_revision(f"sqlite:///{tmp_path / 'copy.db'}") == HEAD


def test_a_log_that_is_not_there_is_not_made_by_its_backup(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = _invoke(sqlite_url, tmp_path / "copy.db", monkeypatch)
    assert "is not there yet" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_server_has_its_own_command_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://me:secret@host/moods"
    result = _invoke(url, tmp_path / "copy.dump", monkeypatch)
    assert isinstance(result.exception, StoreError)
    command = f"pg_dump --format=custom --file={tmp_path / 'copy.dump'} postgresql://me@host/moods"
    assert str(result.exception).endswith(command)
    assert "secret" not in str(result.exception)
