"""The disk refuses a call: the photo stays, the cause is logged once, and later the photo is filed."""

import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.home import Home, read_summary
from worker.filing import FileOperations
from worker.tree import Entry, Folder

CAUSES = [errno.ENOSPC, errno.EIO, errno.EROFS]


class FailingOperation:
    """An operation that fails with `cause`, while there is one, on the paths that the test selects."""

    def __init__(self, call: Callable[..., Any], is_selected: Callable[[Path], bool]) -> None:
        self._call = call
        self._is_selected = is_selected
        self.cause: int | None = None

    def __call__(self, first: Entry | Folder, *rest: Any) -> Any:
        if self.cause and self._is_selected(first.path):
            raise OSError(self.cause, os.strerror(self.cause), str(first.path))
        return self._call(first, *rest)


def is_below_label(path: Path) -> bool:
    return path.name == "trip" and "inbox" not in path.parts


def is_below_inbox(path: Path) -> bool:
    return "trip" in path.parts and "inbox" in path.parts


@pytest.mark.parametrize(
    ("operation", "is_selected"),
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
    is_selected: Callable[[Path], bool],
) -> None:
    home.drop("trip/refused.jpg", draw_jpeg(1))
    home.drop("other.jpg", draw_jpeg(2))
    failing = FailingOperation(getattr(FileOperations(), operation), is_selected)
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
        assert draw_jpeg(1) in home.read_files().values()
        details = [record.detail for record in caplog.records if record.event == "hindered"]
        assert [sum(os.strerror(cause) in detail for detail in details) for cause in CAUSES] == [1, 1, 1]
        failing.cause = None
        hand.time.ahead += 61
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_photo_is_still_in_the_inbox_while_its_destination_is_full(home: Home) -> None:
    path = home.drop("refused.jpg", draw_jpeg(1))
    failing = FailingOperation(FileOperations().link, lambda _: True)
    failing.cause = errno.ENOSPC
    with open_driver(home, FileOperations(link=failing)) as hand:
        hand.step_until(lambda: home.count_statuses() == {"decided": 1})
        hand.step_until_idle()
    assert path.read_bytes() == draw_jpeg(1)


def test_a_photo_that_is_hindered_when_the_worker_stops_is_filed_by_the_next(home: Home) -> None:
    home.drop("refused.jpg", draw_jpeg(1))
    failing = FailingOperation(FileOperations().unlink, lambda _: True)
    failing.cause = errno.EIO
    with open_driver(home, FileOperations(unlink=failing)) as hand:
        hand.step_until(lambda: home.count_statuses() == {"decided": 1})
        hand.step_until_idle()
    home.run_once()
    home.check_promises()


def test_a_run_that_the_disk_hinders_to_the_end_says_so_and_fails(home: Home) -> None:
    home.drop_photos(2)
    home.run_once()
    home.drop("trip/refused.jpg", draw_jpeg(9))
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/trip", b"a file where the folder would be")
    process = home.run_command("run", "--once")
    assert process.returncode == 1
    assert "1 photo could not be finished" in read_summary(process)["message"]
    assert process.stderr.count("hindered") == 1
    assert (home.inbox / "trip/refused.jpg").exists()
    assert home.count_statuses() == Counter(filed=2, decided=1)
