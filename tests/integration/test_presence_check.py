"""Filed photos that people take out of their folders, and put back: what the log says of them."""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.home import Home
from worker.daemon import presence_check
from worker.daemon.presence_check import PresenceCheck
from worker.errors import Reason
from worker.inference.prediction import Prediction
from worker.store import Arrival, Content, Decision, Store, open_store
from worker.store.times import parse_time

NOW = parse_time("2026-03-01T12:00:00.000Z")
PAUSE_SECONDS = 30.0
DATA = b"photo"


class Shelf:
    """A root folder with filed photos, the log about them, and a check whose clock the test puts forward."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self.store = store
        self.model_id = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)
        self.now = 1000.0
        self.check = PresenceCheck(root, store, PAUSE_SECONDS)

    def file(self, *paths: str | Path, data: bytes = DATA) -> None:
        """File photos under these paths, in the log and on the disk."""
        with self.store.begin_turn() as turn:
            arrivals = [Arrival(Path("inbox", f"{path!r}"), len(data), NOW) for path in paths]
            for photo_id, path in zip(turn.take_on(arrivals), map(Path, paths), strict=True):
                assert photo_id is not None
                turn.decide(make_decision(photo_id, path, len(data)), self.model_id)
                turn.record_filed(photo_id, None, NOW)
        for path in paths:
            self.put(path, data)

    def put(self, path: str | Path, data: bytes = DATA) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def remove(self, *paths: str | Path) -> None:
        for path in paths:
            (self.root / path).unlink()

    def check_all(self) -> Counter[str]:
        """Make one whole pass; return how many photos have each status."""
        self.now = max(self.now, self.check.next_due)
        while self.check.next_due <= self.now:
            self.check.step(self.now)
            if self.check._before_id is not None:
                self.now = self.check.next_due
        return self.count_statuses()

    def count_statuses(self) -> Counter[str]:
        return Counter(status for _, status in self.list_statuses())

    def list_statuses(self) -> list[tuple[str, str]]:
        with self.store._begin_transaction() as connection:
            rows = connection.exec_driver_sql("SELECT path, status FROM photos ORDER BY id")
            return [(row.path, row.status) for row in rows]


def make_decision(photo_id: int, path: Path, size_bytes: int) -> Decision:
    reason = Reason.DAMAGED if path.parts[0] == "quarantine" else None
    prediction = None if reason else Prediction("happy", 0.9, {"happy": 0.9, "sad": 0.1}, faces=None)
    content = Content("ab" * 32, size_bytes, None, None)
    return Decision(photo_id, path.parts[0], path, content, prediction, reason, reason, NOW, None)


@pytest.fixture
def shelf(tmp_path: Path, database_url: str) -> Iterator[Shelf]:
    root = tmp_path / "photos"
    root.mkdir()
    store = open_store(database_url)
    yield Shelf(root, store)
    store.close()


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_check, "_SLICE_PHOTOS", 3)


def list_events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    return [
        (record.event, getattr(record, "count", None))  # type: ignore[attr-defined]
        for record in caplog.records
        if record.name == "worker.daemon.presence_check"
    ]


def test_photos_that_were_taken_out_are_missing_and_those_put_back_are_as_before(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    paths = ["happy/a.jpg", "happy/2025/b.jpg", "quarantine/c.jpg"]
    shelf.file("sad/d.jpg", *paths)
    assert shelf.check_all() == {"filed": 3, "quarantined": 1}
    shelf.remove(*paths)
    assert shelf.check_all() == {"filed": 1, "missing": 3}
    assert shelf.check_all() == {"filed": 1, "missing": 3}
    for path in paths:
        shelf.put(path)
    assert shelf.check_all() == {"filed": 3, "quarantined": 1}
    assert list_events(caplog) == [("photos_missing", 3), ("photos_returned", 3)]


def test_a_path_that_is_not_utf8_is_looked_for_byte_for_byte(shelf: Shelf) -> None:
    path = os.fsdecode(b"happy/\xff.jpg")
    shelf.file(path)
    assert shelf.check_all() == {"filed": 1}
    shelf.remove(path)
    assert shelf.check_all() == {"missing": 1}


def test_a_pass_takes_slices_and_has_one_line_for_all_of_them(
    shelf: Shelf, small_slices: None, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [f"happy/{number}.jpg" for number in range(10)]
    shelf.file(*paths)
    shelf.remove(*paths[:8])
    missing = []
    for _ in range(4):
        shelf.check.step(shelf.now)
        shelf.check.step(shelf.now)  # nothing is due before the next second
        missing.append(shelf.count_statuses()["missing"])
        shelf.now = shelf.check.next_due
    assert missing == [1, 4, 7, 8]
    assert shelf.now == 1000.0 + 3 + PAUSE_SECONDS
    assert list_events(caplog) == [("photos_missing", 8)]


def test_a_check_that_ends_in_the_middle_of_a_pass_logs_what_it_has_noticed(
    shelf: Shelf, small_slices: None, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [f"happy/{number}.jpg" for number in range(10)]
    shelf.file(*paths)
    shelf.remove(*paths)
    shelf.check.step(shelf.now)
    shelf.check.close()
    assert list_events(caplog) == [("photos_missing", 3)]


@pytest.mark.parametrize("folder", ["happy", "."])
def test_photos_whose_whole_folder_is_gone_are_not_missing_and_one_warning_says_so(
    shelf: Shelf, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.file("happy/a.jpg", "happy/b.jpg")
    shelf.check_all()
    (shelf.root / folder).rename(shelf.root.parent / "elsewhere")
    for _ in range(3):
        assert shelf.check_all() == {"filed": 2}
    assert list_events(caplog) == [("folder_gone", None)]
    (shelf.root.parent / "elsewhere").rename(shelf.root / folder)
    assert shelf.check_all() == {"filed": 2}
    shutil.rmtree(shelf.root / "happy")
    assert shelf.check_all() == {"filed": 2}
    assert list_events(caplog) == [("folder_gone", None)] * 2


def test_photos_are_not_missing_while_their_folder_is_on_another_device(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    devices = {"happy": 1}
    monkeypatch.setattr(presence_check, "_read_device", lambda folder: devices[folder.name])
    shelf.file("happy/a.jpg", "happy/b.jpg")
    shelf.check_all()
    (shelf.root / "happy").rename(shelf.root.parent / "disk")
    (shelf.root / "happy").mkdir()
    devices["happy"] = 2  # that of the folder on which the disk was mounted
    for _ in range(2):
        assert shelf.check_all() == {"filed": 2}
    (shelf.root / "happy").rmdir()
    (shelf.root.parent / "disk").rename(shelf.root / "happy")
    devices["happy"] = 3  # mounted again, it may have another number
    assert shelf.check_all() == {"filed": 2}
    shelf.remove("happy/a.jpg")
    assert shelf.check_all() == {"filed": 1, "missing": 1}
    assert list_events(caplog) == [("folder_gone", None), ("photos_missing", 1)]


def test_a_missing_photo_is_not_back_when_another_has_its_name(shelf: Shelf) -> None:
    shelf.file("happy/a.jpg")
    shelf.remove("happy/a.jpg")
    assert shelf.check_all() == {"missing": 1}
    shelf.file("happy/a.jpg", data=b"another photo")
    assert shelf.check_all() == {"missing": 1, "filed": 1}


def test_a_photo_that_was_edited_or_cannot_be_looked_at_stays_as_it_is(shelf: Shelf) -> None:
    shelf.file("happy/a.jpg", "happy/b.jpg")
    shelf.put("happy/a.jpg", b"edited in place")
    shelf.remove("happy/b.jpg")
    (shelf.root / "happy/b.jpg").symlink_to("b.jpg")
    assert shelf.check_all() == {"filed": 2}


def test_a_photo_that_is_not_filed_yet_is_not_looked_for(shelf: Shelf) -> None:
    with shelf.store.begin_turn() as turn:
        arrivals = [Arrival(Path("inbox", name), 9, NOW) for name in ("a.jpg", "b.jpg", "c.jpg")]
        pending, decided, gone = turn.take_on(arrivals)
        assert pending
        assert decided
        assert gone
        turn.decide(make_decision(decided, Path("happy/b.jpg"), 9), shelf.model_id)
        turn.record_missing(gone, "it was gone before it could be read", NOW)
    (shelf.root / "happy").mkdir()
    shelf.put("inbox/c.jpg", b"another c")
    assert shelf.check_all() == {"pending": 1, "decided": 1, "missing": 1}


def test_two_workers_that_notice_the_same_count_it_once(shelf: Shelf, database_url: str) -> None:
    shelf.file("happy/a.jpg", "happy/b.jpg")
    ids = [photo.photo_id for photo in shelf.store.list_filed(None, 10)]
    second = open_store(database_url)
    counts = []
    for store in (shelf.store, second):
        with store.begin_turn() as turn:
            counts.append(turn.mark_missing(ids))
    for store in (shelf.store, second):
        with store.begin_turn() as turn:
            counts.append(turn.mark_returned(ids))
    second.close()
    assert counts == [2, 0, 2, 0]
    assert shelf.count_statuses() == {"filed": 2}


def test_a_worker_notices_an_emptied_folder_between_two_photos(home: Home) -> None:
    home.drop_photos(4)
    with open_driver(home) as driver:
        driver.step_until(home.is_all_filed)
        driver.step_until_idle()
        taken_out = [row.path for row in home.read_rows()][:3]
        for path in taken_out:
            (home.root / path).unlink()
        driver.time.ahead += 3600
        driver.step_until(lambda: home.count_statuses() == {"filed": 1, "missing": 3})


def test_a_run_notices_what_was_taken_out_since_the_last_one(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    home.run_once()
    (row,) = home.read_rows()
    (home.root / row.path).unlink()
    assert '"count": 1' in home.run_once().stderr
    assert home.run_command("log", "--status", "missing", "--format", "csv").stdout.count("a.jpg") > 0
    assert "missing" in home.run_command("stats").stdout
