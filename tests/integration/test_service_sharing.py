"""On PostgreSQL several workers share an inbox: each photo is filed once, and no death leaves one behind."""

import signal

import psutil

from tests.home import Home, wait_until


def use_server(home: Home, postgres_url: str) -> Home:
    home.database_url = postgres_url
    return home.configure(model={"batch_size": 8})


def test_two_workers_share_the_photos_and_each_is_filed_once(home: Home, postgres_url: str) -> None:
    use_server(home, postgres_url)
    with home.watch() as first, home.watch() as second:
        home.drop_photos(60)
        wait_until(home.is_all_filed)
        assert first.end() == second.end() == 0
        shares = [len(worker.find_events("filed")) for worker in (first, second)]
    assert sum(shares) == 60
    home.check_promises()


def test_the_photos_of_a_killed_worker_are_filed_by_the_other(home: Home, postgres_url: str) -> None:
    use_server(home, postgres_url)
    with home.watch() as doomed:
        for process in psutil.Process(doomed.popen.pid).children():
            process.suspend()
        home.drop_photos(8)
        wait_until(lambda: home.count_statuses() == {"pending": 8})
        with home.watch() as survivor:
            assert not survivor.find_events("filed")
            doomed.end(signal.SIGKILL)
            wait_until(home.is_all_filed)
            assert survivor.end() == 0
    home.check_promises()
