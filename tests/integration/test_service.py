"""`moodsort run` as a service: it watches, obeys signals, and reports to systemd."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.home import COMMAND, LONG_SECONDS, Home, WorkerProcess, wait_until
from worker.config import load_config
from worker.daemon.clock import Clock
from worker.daemon.loop import FINISH_SECONDS, finish_batch
from worker.daemon.startup import LOCK_SECONDS
from worker.inbox.inbox import CHECK_SECONDS
from worker.pool.process_clock import START_SECONDS, compute_patience

PROMISED_SECONDS = 5.0
"""Within which a worker stops, and notices that its inbox was made again."""


def list_children(worker: WorkerProcess) -> list[psutil.Process]:
    return psutil.Process(worker.popen.pid).children()


def suspend_children(worker: WorkerProcess) -> None:
    for process in list_children(worker):
        process.suspend()


def test_photos_are_filed_as_they_come(home: Home) -> None:
    with home.watch() as worker:
        for number in range(3):
            home.drop(f"{number}.jpg", draw_jpeg(number))
            wait_until(home.is_all_filed)
        assert [line["path"] for line in worker.find_events("filed")] == [
            f"inbox/{number}.jpg" for number in range(3)
        ]
        assert worker.end() == 0
    home.check_promises()


def test_whatever_a_stop_or_a_new_inbox_waits_for_ends_within_the_promised_time() -> None:
    assert max(FINISH_SECONDS, LOCK_SECONDS, CHECK_SECONDS) < PROMISED_SECONDS


def test_a_stop_takes_on_no_photo_and_predicts_none_that_waits(home: Home) -> None:
    home.configure(model={"batch_size": 4, "processes": 1})
    home.drop_photos(40)
    with open_driver(home) as driver:
        # More in hand than the process has been given: some wait.
        driver.step_until(lambda: driver.worker.tally and driver.worker.in_hand > 4)
        taken_on = driver.worker.tally.total() + driver.worker.in_hand
        assert taken_on < 40
        finish_batch(driver.worker, driver.time.clock)
        assert not driver.worker.has_batch_in_hand
        assert driver.worker.tally.total() + driver.worker.in_hand == taken_on
        assert driver.worker.in_hand > 0


def test_a_batch_that_does_not_end_is_given_up_at_a_stop(home: Home) -> None:
    with open_driver(home) as driver:
        for process in psutil.Process().children():
            process.suspend()
        home.drop("a.jpg", draw_jpeg(1))
        driver.step_until(lambda: driver.worker.has_batch_in_hand)
        times = count(0.0, 0.99 * FINISH_SECONDS)  # each look at the clock takes so long
        finish_batch(driver.worker, Clock(monotonic=lambda: next(times)))
        assert driver.worker.has_batch_in_hand


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_with_500_photos_in_the_inbox_loses_none(home: Home, number: signal.Signals) -> None:
    home.drop_photos(500)
    with home.watch() as worker:
        wait_until(lambda: worker.find_events("filed"))
        assert worker.end(number) == 0
    rows = home.read_rows()
    files = home.read_files()
    assert {row.status for row in rows} <= {"filed", "pending"}
    assert all(row.path in files for row in rows)
    assert Counter(files.values()) == Counter(home.dropped.values())


def test_a_stop_does_not_wait_for_a_decoder_that_hangs(home: Home) -> None:
    home.configure(limits={"decode_seconds": 3600.0})
    with home.watch() as worker:
        suspend_children(worker)
        path = home.drop("a.jpg", draw_jpeg(1))
        wait_until(lambda: home.count_statuses() == {"pending": 1})
        assert worker.end() == 0
    assert path.exists()
    home.run_once()
    home.check_promises()


def test_a_stop_requested_during_the_start_is_not_lost(home: Home) -> None:
    home.drop_photos(3)
    with home.run_worker() as worker:
        wait_until(psutil.Process(worker.popen.pid).children)
        assert worker.end() == 0
    home.run_once()
    home.check_promises()


def test_an_inbox_that_is_deleted_and_made_again_is_watched(home: Home) -> None:
    with home.watch() as worker:
        shutil.rmtree(home.inbox)
        wait_until(lambda: worker.find_events("inbox_gone"))
        home.inbox.mkdir()
        wait_until(lambda: worker.find_events("watching_again"))
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(home.is_all_filed)
        assert worker.end() == 0
    home.check_promises()


def test_a_stop_says_how_many_files_are_left_in_the_inbox(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    with home.watch() as worker:
        wait_until(home.is_all_filed)
        assert worker.end() == 0
        (stop,) = worker.find_events("stopped")
    assert (stop["message"], stop["left"]) == ("stopped; nothing is left in the inbox", 0)
    with (home.inbox / "b.jpg").open("wb"), home.watch() as worker:
        assert worker.end() == 0
        (stop,) = worker.find_events("stopped")
    assert (stop["message"], stop["left"]) == ("stopped; 1 left in the inbox", 1)


def test_away_from_a_terminal_a_worker_prints_json_lines_alone(home: Home) -> None:
    with home.watch() as worker:
        assert worker.end(signal.SIGINT) == 0
        assert [line["event"] for line in worker.events] == ["ready", "stopped"]
    assert [path.read_bytes() for path in home.folder.glob("stdout-*")] == [b""]


def test_a_second_worker_is_refused_and_the_first_is_named(home: Home) -> None:
    with home.watch() as worker:
        second = home.run_command("run", "--once")
        assert second.returncode == 1
        (line,) = second.stderr.splitlines()
        assert f"is in use by process {worker.popen.pid}; stop that worker first" in line
        assert worker.end() == 0


def test_a_second_worker_on_another_inbox_is_refused_the_same_database(home: Home) -> None:
    with home.watch():
        home.configure(folders={"root": "other"})
        second = home.run_command("run", "--once")
        assert second.returncode == 1
        assert f"the database {home.database} is in use" in second.stderr


def test_no_decoder_is_mapped_into_the_process_that_watches(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    with home.watch() as worker:
        wait_until(home.is_all_filed)
        assert list_packages(worker.popen.pid).isdisjoint(
            {"numpy", "cv2", "PIL", "ai_edge_litert", "tensorflow"}
        )
        (child,) = list_children(worker)
        assert list_packages(child.pid) >= {"numpy", "ai_edge_litert"}
        assert "tensorflow" not in list_packages(child.pid)


def list_packages(pid: int) -> set[str]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"/site-packages/(\w+?)(?:\.libs)?/", maps))


class Supervisor:
    """The service manager's end of the notify socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(LONG_SECONDS)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def receive(self, variable: str) -> dict[str, str]:
        """Return the next message that assigns the variable."""
        while True:
            message = self.socket.recv(4096).decode()
            assignments = dict(line.split("=", 1) for line in message.splitlines())
            if variable in assignments:
                return assignments


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "notify")
    yield supervisor
    supervisor.socket.close()


def test_a_worker_whose_child_processes_fall_silent_counts_as_stalled(home: Home) -> None:
    longest = compute_patience(load_config(home.config).limits.decode_seconds) + START_SECONDS
    with open_driver(home) as driver:
        for process in psutil.Process().children():
            process.suspend()
        home.drop("a.jpg", draw_jpeg(1))
        driver.step_until(lambda: driver.worker.has_batch_in_hand)
        now = driver.time.clock.monotonic()
        assert not driver.worker.is_stalled(now + longest - 1)  # a disk may take that long
        assert driver.worker.is_stalled(now + longest + 1)


def test_systemd_is_notified_of_start_reload_life_and_stop(home: Home, supervisor: Supervisor) -> None:
    with home.watch(WATCHDOG_USEC="600000", **supervisor.environment) as worker:
        assert str(home.inbox) in supervisor.receive("READY")["STATUS"]
        for _ in range(3):
            supervisor.receive("WATCHDOG")
        os.kill(worker.popen.pid, signal.SIGHUP)
        assert int(supervisor.receive("RELOADING")["MONOTONIC_USEC"]) > 0
        supervisor.receive("READY")
        assert worker.end() == 0
        supervisor.receive("STOPPING")


def test_photos_are_filed_even_where_nobody_reads_the_log_any_more(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    popen = subprocess.Popen(
        [COMMAND, "run", "--once", "--config", home.config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=home.make_environment(),
    )
    assert popen.stdout
    assert popen.stderr
    popen.stdout.close()
    popen.stderr.close()
    popen.wait(LONG_SECONDS)
    home.check_promises()
