"""On PostgreSQL several workers share an inbox: each photo is filed once, and no death leaves one behind."""

import signal

import psutil

from tests.home import Home, until


def shared(home: Home, postgres_url: str) -> Home:
    home.database_url = postgres_url
    return home.configure(model={"batch_size": 8})


def test_two_workers_share_the_photos_and_each_is_filed_once(home: Home, postgres_url: str) -> None:
    shared(home, postgres_url)
    with home.watched() as one, home.watched() as other:
        home.drop_photos(60)
        until(home.are_filed)
        assert one.end() == other.end() == 0
        shares = [len(one.told("filed")), len(other.told("filed"))]
    assert sum(shares) == 60
    home.check_promises()


def test_the_photos_of_a_killed_worker_are_taken_up_by_the_other(home: Home, postgres_url: str) -> None:
    shared(home, postgres_url)
    with home.watched() as doomed:
        for process in psutil.Process(doomed.popen.pid).children():
            process.suspend()
        home.drop_photos(8)
        until(lambda: home.statuses() == {"pending": 8})
        with home.watched() as other:
            assert not other.told("filed")
            doomed.end(signal.SIGKILL)
            until(home.are_filed)
            assert other.end() == 0
    home.check_promises()
