"""Much at once: what is in hand stays bounded, and what has run out holds nothing up for longer than that."""

import errno
import os
import resource
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.home import Home, wait_until
from worker.filing import FileOperations
from worker.store.sqlite import sqlite3
from worker.tree import Folder

LABELS = ("happy", "sad")
BOUND = 8
BATCH = 4
IN_HAND = BOUND + 2 * BATCH + 2 * BATCH
"""Those that back off, those that wait or are predicted, and those that were on their way at that time."""


class LockedFolders:
    """A file system on which label folders are read-only while `is_locked`."""

    def __init__(self) -> None:
        self.is_locked = True

    def make_operations(self) -> FileOperations:
        real = FileOperations()

        def sync_folder(folder: Folder) -> None:
            if self.is_locked and folder.path.parts[:1] and folder.path.parts[0] in LABELS:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            real.sync_folder(folder)

        return replace(real, sync_folder=sync_folder)


def count_locks(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert row is not None
    return int(row[0])


def test_photos_that_cannot_be_moved_are_bounded_and_filed_when_they_can(
    home: Home, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.daemon.worker._MAX_HINDERED", BOUND)
    home.database_url = database_url
    home.configure(model={"batch_size": BATCH, "processes": 1})
    home.drop_photos(40)
    folders = LockedFolders()
    with open_driver(home, folders.make_operations()) as driver:
        photos = driver.worker._photos
        driver.step_until(lambda: photos.count_hindered() >= BOUND and not driver.worker.has_batch_in_hand)
        for _ in range(5):
            driver.time.ahead += 100.0
            driver.step_until(lambda: not driver.worker.has_batch_in_hand)
            assert BOUND <= driver.worker.in_hand <= IN_HAND
        if driver.worker._store.shares_inbox:
            assert count_locks(database_url) == driver.worker.in_hand
        folders.is_locked = False

        def is_filed() -> bool:
            driver.time.ahead += 10.0
            return driver.worker.tally.total() == 40

        driver.step_until(is_filed)
    home.check_promises()


def test_a_reader_in_the_middle_of_a_query_does_not_hold_up_filing(home: Home) -> None:
    with home.watch() as running, closing(sqlite3.connect(home.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM photos").fetchone() == (0,)
        home.drop_photos(20)
        wait_until(home.is_all_filed)
        assert reader.execute("SELECT count(*) FROM photos").fetchone() == (0,)
        reader.execute("COMMIT")
        assert not running.find_events("locked")
        assert running.end() == 0
    home.check_promises()


def test_a_worker_without_descriptors_waits_for_some(home: Home) -> None:
    with home.watch() as running:
        pid = running.popen.pid
        numbers = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
        lowest_free = next(number for number in range(len(numbers) + 1) if number not in numbers)
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(lambda: running.find_events("exhausted"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        wait_until(home.is_all_filed)
        assert len(running.find_events("exhausted")) == 1
        assert psutil.Process(pid).children()
        assert running.end() == 0
    home.check_promises()


def test_a_photo_whose_path_is_too_long_stays_with_a_logged_cause(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    here = os.open(home.inbox, os.O_RDONLY)
    for _ in range(21):
        os.mkdir("n" * 200, dir_fd=here)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    deep = os.open("deep.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(deep, draw_jpeg(2))
    os.close(deep)
    completed = home.run_once()
    assert '"kind": "file whose path is over' in completed.stderr
    assert home.is_all_filed()
    assert os.stat("deep.jpg", dir_fd=here).st_size
    os.close(here)
