"""The messages to the service manager, over a real socket."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.ops.systemd.notifier import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


@pytest.fixture
def notifier(manager: socket.socket) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": manager.getsockname()})


def receive(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().split("\n")


def test_a_notifier_without_a_socket_sends_nothing() -> None:
    notifier = Notifier.from_environment({})
    notifier.notify_ready("watching")
    notifier.notify_stopping()
    assert notifier == Notifier(address=None, watchdog_seconds=None)


def test_ready_comes_with_its_status_in_one_message(manager: socket.socket, notifier: Notifier) -> None:
    notifier.notify_ready("watching inbox")
    assert receive(manager) == ["READY=1", "STATUS=watching inbox"]


def test_a_reload_reports_when_it_began(manager: socket.socket, notifier: Notifier) -> None:
    notifier.notify_reloading(123456789)
    assert receive(manager) == ["RELOADING=1", "MONOTONIC_USEC=123456789"]


def test_each_message_is_the_word_that_systemd_knows(manager: socket.socket, notifier: Notifier) -> None:
    notifier.feed_watchdog()
    notifier.notify_stopping()
    assert [receive(manager), receive(manager)] == [["WATCHDOG=1"], ["STOPPING=1"]]


def test_a_status_cannot_smuggle_in_another_assignment(manager: socket.socket, notifier: Notifier) -> None:
    notifier.notify_status("filed a\nREADY=1")
    assert receive(manager) == ["STATUS=filed a READY=1"]


def test_a_name_that_is_not_utf8_can_be_sent(manager: socket.socket, notifier: Notifier) -> None:
    notifier.notify_status("filed \udcff.jpg")
    assert receive(manager) == [r"STATUS=filed \udcff.jpg"]


def test_an_abstract_socket_is_reached(tmp_path: Path) -> None:
    name = str(tmp_path / "abstract")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        Notifier.from_environment({"NOTIFY_SOCKET": f"@{name}"}).feed_watchdog()
        assert receive(listener) == ["WATCHDOG=1"]


def test_an_address_of_another_kind_is_left_alone() -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": "vsock:2:1234"}).address is None


def test_a_manager_that_has_gone_does_not_disturb_the_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")}).notify_ready("watching")
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_an_address_that_is_too_long_does_not_disturb_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Notifier.from_environment({"NOTIFY_SOCKET": "/" + "long" * 100}).notify_ready("watching")
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert Notifier.from_environment(environment, pid=7).watchdog_seconds == seconds
