"""The database refuses: the worker backs off, says why, and goes on by itself when that has passed."""

import resource
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil
import psycopg

from tests.drawing import draw_jpeg
from tests.home import Home, wait_until
from worker.config import load_config
from worker.daemon.locks import hold_locks
from worker.fileio import find_lock_holder
from worker.store.sqlite import sqlite3


@contextmanager
def lock_database(home: Home) -> Iterator[None]:
    """Hold the database as another program might."""
    with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_photos_are_filed_when_a_locked_database_is_free_again(home: Home) -> None:
    with home.watch() as running:
        children = psutil.Process(running.popen.pid).children()
        with lock_database(home):
            home.drop("a.jpg", draw_jpeg(1))
            wait_until(lambda: running.find_events("locked"))
            assert "is locked by another program" in running.find_events("locked")[0]["detail"]
        wait_until(home.is_all_filed)
        # In place: neither the processes nor the connection were given up for it.
        assert psutil.Process(running.popen.pid).children() == children
        assert running.end() == 0
        assert running.find_events("unlocked")
        assert not running.find_events("backing_off")
    home.check_promises()


def test_a_worker_stops_while_the_database_is_locked(home: Home) -> None:
    with home.watch() as running, lock_database(home):
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(lambda: running.find_events("locked"))
        assert running.end() == 0
    assert (home.inbox / "a.jpg").exists()


def test_photos_are_filed_when_the_database_can_be_written_again(home: Home) -> None:
    with home.watch() as running:
        # From outside, as a full disk would: files may not grow, nor be written beyond their first pages.
        limits = resource.prlimit(running.popen.pid, resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(lambda: running.find_events("backing_off"))
        assert "moodsort.db" in running.find_events("backing_off")[0]["detail"]
        assert (home.inbox / "a.jpg").exists()
        resource.prlimit(running.popen.pid, resource.RLIMIT_FSIZE, limits)
        wait_until(home.is_all_filed)
        assert running.end() == 0
    home.check_promises()


def test_a_full_disk_does_not_keep_a_worker_from_its_lock(home: Home) -> None:
    config = load_config(home.config)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with hold_locks(config):
            assert [find_lock_holder(path) for path in config.lock_files.values()] == [0, 0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_photos_are_filed_when_a_lost_connection_is_there_again(home: Home, postgres_url: str) -> None:
    home.database_url = postgres_url
    home.configure()
    with home.watch() as running:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            condition = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {condition}".encode()
            )
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(home.is_all_filed)
        assert running.find_events("backing_off")
        assert running.end(signal.SIGTERM) == 0
    home.check_promises()
