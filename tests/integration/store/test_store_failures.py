import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from worker.errors import Locked, MoodsortError, StoreError, Transient
from worker.store import open_store
from worker.store.read_connection import open_read_connection
from worker.store.sqlite import sqlite3

NOBODY = 65534


@contextmanager
def _drop_privileges() -> Iterator[None]:
    """Drop the privileges of root, whom no permission stops, until the context ends."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def file(sqlite_url: str) -> Path:
    open_store(sqlite_url).close()
    return Path(sqlite_url.removeprefix("sqlite:///"))


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def _let_everybody_read(file: Path) -> None:
    temporary = Path(tempfile.gettempdir())
    for folder in takewhile(lambda folder: folder != temporary, file.parents):
        folder.chmod(0o755)
    file.chmod(0o444)


def _expect_refusal(url: str) -> MoodsortError:
    with pytest.raises(MoodsortError) as raised:
        open_store(url, lock_seconds=0)
    assert "\n" not in str(raised.value)
    return raised.value


def test_a_locked_database_is_transient_and_the_store_goes_on_after(
    file: Path, sqlite_url: str, work: Any
) -> None:
    store = open_store(sqlite_url, lock_seconds=0)
    with _lock(file), pytest.raises(Transient, match="is locked by another program"):
        work.take_on(store, "inbox/a.jpg")
    assert None not in work.take_on(store, "inbox/a.jpg")
    store.close()


def test_a_locked_turn_is_tried_again_on_the_same_store_as_often_as_it_takes(
    file: Path, sqlite_url: str, work: Any
) -> None:
    store = open_store(sqlite_url)
    store.limit_waits(0)
    with _lock(file):
        for _ in range(3):
            with pytest.raises(Locked):
                work.take_on(store, "inbox/a.jpg")
    assert None not in work.take_on(store, "inbox/a.jpg")
    store.close()


def test_a_database_that_is_locked_at_start_is_transient(file: Path, sqlite_url: str) -> None:
    with _lock(file):
        refusal = _expect_refusal(sqlite_url)
    assert isinstance(refusal, Transient)
    assert "is locked by another program" in str(refusal)


def test_a_full_disk_is_transient_and_the_store_goes_on_after(sqlite_url: str, work: Any) -> None:
    store = open_store(sqlite_url)
    driver: Any = store._connection.connection.driver_connection
    (pages,) = driver.execute("PRAGMA page_count").fetchone()
    driver.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite answers to as to ENOSPC
    with pytest.raises(Transient, match="the disk is full"):
        work.take_on(store, *(f"inbox/{number}.jpg" for number in range(200)))
    driver.execute("PRAGMA max_page_count = 1000000")
    assert None not in work.take_on(store, "inbox/0.jpg")
    store.close()


def test_a_database_whose_file_was_taken_away_is_transient(file: Path, sqlite_url: str, work: Any) -> None:
    store = open_store(sqlite_url)
    file.rename(file.with_name("elsewhere.db"))
    with pytest.raises(Transient, match=r"moodsort\.db: was moved, deleted or replaced; put it back"):
        work.take_on(store, "inbox/a.jpg")
    store.close()


def test_a_file_that_is_not_a_database_is_refused_and_left_alone(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.write_bytes(b"a letter, not a database " * 100)
    refusal = _expect_refusal(sqlite_url)
    assert isinstance(refusal, StoreError)
    assert "moodsort.db: is not a moodsort database" in str(refusal)
    assert file.read_bytes() == b"a letter, not a database " * 100


def test_another_programs_database_is_refused_and_left_alone(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = file.read_bytes()
    refusal = _expect_refusal(sqlite_url)
    assert isinstance(refusal, StoreError)
    assert "another program's tables (bookmarks)" in str(refusal)
    assert file.read_bytes() == before


def test_a_damaged_database_is_not_called_transient(file: Path, sqlite_url: str, work: Any) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    refusal = _expect_refusal(sqlite_url)
    assert isinstance(refusal, StoreError)
    assert "is damaged" in str(refusal)


def test_a_database_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refusal = _expect_refusal(f"sqlite:///{tmp_path / 'nowhere' / 'moodsort.db'}")
    assert isinstance(refusal, StoreError)
    assert "cannot be opened; check that its folder is there" in str(refusal)


def test_a_database_that_cannot_be_written_is_refused(file: Path, sqlite_url: str) -> None:
    _let_everybody_read(file)
    before = file.read_bytes()
    with _drop_privileges():
        refusal = _expect_refusal(sqlite_url)
    assert isinstance(refusal, StoreError)
    assert "cannot be written" in str(refusal)
    assert file.read_bytes() == before


def test_a_log_is_read_by_one_who_may_not_write_it(file: Path, sqlite_url: str, work: Any) -> None:
    store = open_store(sqlite_url)
    work.take_on(store, "inbox/a.jpg")
    _let_everybody_read(file)
    for is_worker_there in (True, False):
        if not is_worker_there:
            store.close()
        with _drop_privileges(), open_read_connection(sqlite_url) as reader:
            assert reader.query("SELECT source_path FROM photos") == [("inbox/a.jpg",)]


def test_a_server_that_does_not_answer_is_transient(tmp_path: Path) -> None:
    refusal = _expect_refusal(f"postgresql://ann:secret@/moods?host={tmp_path}")
    assert isinstance(refusal, Transient)
    assert "check that the server runs" in str(refusal)
    assert "secret" not in str(refusal)
