"""The disk refuses a call: the photo stays, the cause is told once, and it is filed when that has passed."""

import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.drawing import photo_bytes
from tests.driver import open_driver
from tests.home import Home
from worker.filing import FileOperations

CAUSES = [errno.ENOSPC, errno.EIO, errno.EROFS]


class Failing:
    """An operation that fails with `cause`, while there is one, on what the test says."""

    def __init__(self, call: Callable[..., Any], is_meant: Callable[[Path], bool]) -> None:
        self._call = call
        self._is_meant = is_meant
        self.cause: int | None = None

    def __call__(self, first: Path, *rest: Any) -> Any:
        if self.cause and self._is_meant(first):
            raise OSError(self.cause, os.strerror(self.cause), str(first))
        return self._call(first, *rest)


def is_below_label(path: Path) -> bool:
    return path.name == "trip" and "inbox" not in path.parts


def is_below_inbox(path: Path) -> bool:
    return "trip" in path.parts and "inbox" in path.parts


@pytest.mark.parametrize(
    ("operation", "is_meant"),
    [
        ("make_folder", is_below_label),
        ("link", is_below_inbox),
        ("sync_folder", is_below_label),
        ("unlink", is_below_inbox),
        ("sync_folder", is_below_inbox),
    ],
)
def test_a_photo_that_the_disk_refuses_waits_and_holds_up_no_other(
    home: Home,
    caplog: pytest.LogCaptureFixture,
    operation: str,
    is_meant: Callable[[Path], bool],
) -> None:
    home.drop("trip/refused.jpg", photo_bytes(1))
    home.drop("other.jpg", photo_bytes(2))
    failing = Failing(getattr(FileOperations(), operation), is_meant)
    failing.cause = CAUSES[0]
    with (
        open_driver(home, replace(FileOperations(), **{operation: failing})) as hand,
        caplog.at_level(logging.WARNING),
    ):
        hand.step_until(lambda: home.count_statuses() == {"filed": 1, "decided": 1})
        for cause in CAUSES:
            failing.cause = cause
            for _ in range(3):
                hand.time.ahead += 61
                hand.worker.step(hand.time.clock.monotonic())
        assert photo_bytes(1) in home.read_files().values()
        told = [record.detail for record in caplog.records if record.event == "hindered"]
        assert [sum(os.strerror(cause) in detail for detail in told) for cause in CAUSES] == [1, 1, 1]
        failing.cause = None
        hand.time.ahead += 61
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_photo_is_still_in_the_inbox_while_its_destination_is_full(home: Home) -> None:
    path = home.drop("refused.jpg", photo_bytes(1))
    failing = Failing(FileOperations().link, lambda _: True)
    failing.cause = errno.ENOSPC
    with open_driver(home, FileOperations(link=failing)) as hand:
        hand.step_until(lambda: home.count_statuses() == {"decided": 1})
        hand.step_until_idle()
    assert path.read_bytes() == photo_bytes(1)


def test_a_photo_that_is_hindered_when_the_worker_stops_is_filed_by_the_next(home: Home) -> None:
    home.drop("refused.jpg", photo_bytes(1))
    failing = Failing(FileOperations().unlink, lambda _: True)
    failing.cause = errno.EIO
    with open_driver(home, FileOperations(unlink=failing)) as hand:
        hand.step_until(lambda: home.count_statuses() == {"decided": 1})
        hand.step_until_idle()
    home.run_once()
    home.check_promises()


def test_a_run_that_the_disk_hinders_to_the_end_says_so_and_fails(home: Home) -> None:
    home.drop_photos(2)
    home.run_once()
    home.drop("trip/refused.jpg", photo_bytes(9))
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/trip", b"a file where the folder would be")
    done = home.run_command("run", "--once")
    assert done.returncode == 1
    assert "1 photo could not be finished" in done.stdout
    assert done.stderr.count("hindered") == 1
    assert (home.inbox / "trip/refused.jpg").exists()
    assert home.count_statuses() == Counter(filed=2, decided=1)
