"""`moodsort run` as a service: it watches, it obeys signals, and it tells systemd how it does."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.drawing import photo_bytes
from tests.driving import driven
from tests.home import COMMAND, LONG_SECONDS, Home, Running, until
from worker.config import load_config
from worker.pool.pool import START_SECONDS

PROMISED_SECONDS = 5.0


def classifiers(running: Running) -> list[psutil.Process]:
    return psutil.Process(running.popen.pid).children()


def hang_classifiers(running: Running) -> None:
    for process in classifiers(running):
        process.suspend()


def test_photos_are_filed_as_they_come(home: Home) -> None:
    with home.watched() as running:
        for number in range(3):
            home.drop(f"{number}.jpg", photo_bytes(number))
            until(home.are_filed)
        assert [line["path"] for line in running.told("filed")] == [
            f"inbox/{number}.jpg" for number in range(3)
        ]
        assert running.end() == 0
    home.check_promises()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_with_500_photos_in_the_inbox_takes_five_seconds_at_most(
    home: Home, number: signal.Signals
) -> None:
    home.drop_photos(500)
    with home.watched() as running:
        until(lambda: running.told("filed"))
        assert running.end(number, seconds=PROMISED_SECONDS) == 0
    rows = home.rows()
    files = home.files()
    assert {row.status for row in rows} <= {"filed", "pending"}
    assert all(row.path in files for row in rows)
    assert Counter(files.values()) == Counter(home.dropped.values())


def test_a_stop_while_a_decoder_hangs_takes_five_seconds_at_most(home: Home) -> None:
    with home.watched() as running:
        hang_classifiers(running)
        path = home.drop("a.jpg", photo_bytes(1))
        until(lambda: home.statuses() == {"pending": 1})
        assert running.end(seconds=PROMISED_SECONDS) == 0
    assert path.exists()
    home.run_once()
    home.check_promises()


def test_a_stop_that_is_asked_for_during_the_start_is_not_lost(home: Home) -> None:
    home.drop_photos(3)
    with home.running() as running:
        until(psutil.Process(running.popen.pid).children)
        assert running.end(seconds=PROMISED_SECONDS) == 0
    home.run_once()
    home.check_promises()


def test_an_inbox_that_is_deleted_and_made_again_is_watched_within_five_seconds(home: Home) -> None:
    with home.watched() as running:
        shutil.rmtree(home.inbox)
        until(lambda: running.told("inbox_gone"))
        home.inbox.mkdir()
        until(lambda: running.told("watching_again"), PROMISED_SECONDS)
        home.drop("a.jpg", photo_bytes(1))
        until(home.are_filed)
        assert running.end() == 0
    home.check_promises()


def test_a_second_worker_is_refused_and_told_who_is_there(home: Home) -> None:
    with home.watched() as running:
        second = home.moodsort("run", "--once")
        assert second.returncode == 1
        (line,) = second.stderr.splitlines()
        assert f"is in use by process {running.popen.pid}; stop that worker first" in line
        assert running.end() == 0


def test_a_second_worker_on_another_inbox_is_refused_the_same_database(home: Home) -> None:
    with home.watched():
        home.configure(folders={"root": "other"})
        second = home.moodsort("run", "--once")
        assert second.returncode == 1
        assert f"the database {home.database} is in use" in second.stderr


def test_no_decoder_is_mapped_into_the_process_that_watches(home: Home) -> None:
    home.drop("a.jpg", photo_bytes(1))
    with home.watched() as running:
        until(home.are_filed)
        assert mapped(running.popen.pid).isdisjoint({"numpy", "cv2", "PIL", "ai_edge_litert", "tensorflow"})
        (classifier,) = classifiers(running)
        assert mapped(classifier.pid) >= {"numpy", "ai_edge_litert"}
        assert "tensorflow" not in mapped(classifier.pid)


def mapped(pid: int) -> set[str]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"/site-packages/(\w+?)(?:\.libs)?/", maps))


class Supervisor:
    """The service manager's end of the notify socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(LONG_SECONDS)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def hears(self, wanted: str) -> dict[str, str]:
        """Return the next message that assigns `wanted`."""
        while True:
            message = self.socket.recv(4096).decode()
            found = dict(line.split("=", 1) for line in message.splitlines())
            if wanted in found:
                return found


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    listening = Supervisor(tmp_path / "notify")
    yield listening
    listening.socket.close()


def test_a_worker_whose_classifiers_fall_silent_counts_as_stalled(home: Home) -> None:
    longest = load_config(home.config).limits.decode_seconds + START_SECONDS
    with driven(home) as hand:
        for process in psutil.Process().children():
            process.suspend()
        home.drop("a.jpg", photo_bytes(1))
        hand.until(lambda: hand.worker.has_batch_in_hand)
        now = hand.time.clock.monotonic()
        assert not hand.worker.is_stalled(now)
        assert hand.worker.is_stalled(now + longest + 1)


def test_the_service_manager_hears_of_start_reload_life_and_stop(home: Home, supervisor: Supervisor) -> None:
    with home.watched(WATCHDOG_USEC="600000", **supervisor.environment) as running:
        assert str(home.inbox) in supervisor.hears("READY")["STATUS"]
        for _ in range(3):
            supervisor.hears("WATCHDOG")
        os.kill(running.popen.pid, signal.SIGHUP)
        assert int(supervisor.hears("RELOADING")["MONOTONIC_USEC"]) > 0
        supervisor.hears("READY")
        assert running.end() == 0
        supervisor.hears("STOPPING")


def test_the_pipe_that_reads_the_log_may_go_away_with_the_terminal(home: Home) -> None:
    home.drop("a.jpg", photo_bytes(1))
    popen = subprocess.Popen(
        [COMMAND, "run", "--once", "--config", home.config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=home.environment(),
    )
    assert popen.stdout
    assert popen.stderr
    popen.stdout.close()
    popen.stderr.close()
    popen.wait(LONG_SECONDS)
    home.check_promises()
