"""The inbox on a real folder: what is heard of it, what is settled, and what is left alone."""

import fcntl
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileSystemEvent

from tests.drawing import photo_bytes
from worker.config import InboxConfig as InboxConfig
from worker.fileio import identify_file
from worker.inbox import Inbox
from worker.inbox.candidates import Inspection, Writer
from worker.inbox.inbox import CHECK_SECONDS
from worker.inbox.scanner import inspect_file
from worker.inbox.watcher import Wakeup, Watcher, _EventHandler

PHOTO = photo_bytes()
PATIENCE_SECONDS = 20.0
NEVER = 86_400.0
MANY = 1000


class Watching:
    """An inbox whose clock stands still; it hears only what the file system tells."""

    def __init__(self, folder: Path, **config: object) -> None:
        settings = {"rescan_seconds": NEVER, "settle_seconds": 1000.0} | config
        self.now = 0.0
        self.folder = folder
        self.inbox = Inbox(folder, InboxConfig(**settings), time.time)  # type: ignore[arg-type]
        self.inbox.open(self.now)

    def settled(self) -> set[str]:
        return {str(each.path.relative_to(self.folder)) for each in self.inbox.settled(self.now, MANY)}

    def hear(self, *names: str) -> set[str]:
        """Wait until these are settled by what is heard; return all that were."""
        found = self.settled()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not found >= set(names):
            left = deadline - time.monotonic()
            assert left > 0, f"only {found} were heard of"
            select.select([self.inbox.fileno()], [], [], left)
            found |= self.settled()
        return found

    def check(self) -> set[str]:
        self.now += CHECK_SECONDS
        return self.settled()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def watching(folder: Path) -> Iterator[Watching]:
    watching = Watching(folder)
    yield watching
    watching.inbox.close()


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if getattr(record, "event", None) == event]


# Heard


def test_a_file_is_settled_when_its_writer_closes_it(watching: Watching) -> None:
    with (watching.folder / "a.jpg").open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        assert watching.settled() == set()
    assert watching.hear("a.jpg") == {"a.jpg"}


def test_a_file_that_is_renamed_in_is_settled_at_once(watching: Watching, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "a.jpg").rename(watching.folder / "a.jpg")
    assert watching.hear("a.jpg") == {"a.jpg"}


def test_a_file_that_is_linked_in_is_settled_at_once(watching: Watching, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    (watching.folder / "a.jpg").hardlink_to(tmp_path / "a.jpg")
    assert watching.hear("a.jpg") == {"a.jpg"}


def test_a_download_is_settled_under_its_last_name_alone(watching: Watching) -> None:
    (watching.folder / "a.jpg.part").write_bytes(PHOTO)
    (watching.folder / "a.jpg.part").rename(watching.folder / "a.jpg")
    assert watching.hear("a.jpg") == {"a.jpg"}


def test_a_file_that_is_moved_to_a_folder_of_the_inbox_is_settled_there(watching: Watching) -> None:
    (watching.folder / "below").mkdir()
    (watching.folder / "a.part").write_bytes(PHOTO)
    (watching.folder / "a.part").rename(watching.folder / "below" / "a.jpg")
    assert watching.hear("below/a.jpg") == {"below/a.jpg"}


def test_files_of_a_folder_that_was_made_here_are_settled(watching: Watching) -> None:
    names = {f"new/deep/{number}.jpg" for number in range(5)}
    (watching.folder / "new" / "deep").mkdir(parents=True)
    for name in names:
        (watching.folder / name).write_bytes(PHOTO)
    _settle_found_later(watching, names)


def test_files_of_a_folder_that_was_moved_in_are_settled(watching: Watching, tmp_path: Path) -> None:
    (tmp_path / "album" / "deep").mkdir(parents=True)
    (tmp_path / "album" / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "album" / "deep" / "b.jpg").write_bytes(PHOTO)
    (tmp_path / "album").rename(watching.folder / "album")
    _settle_found_later(watching, {"album/a.jpg", "album/deep/b.jpg"})


def _settle_found_later(watching: Watching, names: set[str]) -> None:
    """Let files that only a scan has found lie still for as long as they have to."""
    found: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not found >= names:
        assert time.monotonic() < deadline, f"only {found} were found"
        select.select([watching.inbox.fileno()], [], [], 0.05)
        watching.now += 2000.0
        found |= watching.settled()


def test_without_recursion_folders_below_are_left(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "a.jpg").write_bytes(PHOTO)
    watching = Watching(folder, recursive=False)
    try:
        (folder / "below" / "b.jpg").write_bytes(PHOTO)
        (folder / "c.jpg").write_bytes(PHOTO)
        assert watching.hear("c.jpg") == {"c.jpg"}
        assert watching.inbox.waiting == 0
    finally:
        watching.inbox.close()


def test_ignored_names_are_never_candidates(watching: Watching) -> None:
    (watching.folder / ".thumbs").mkdir()
    for name in ("a.jpg.part", ".hidden.jpg", "b.crdownload", "c~", "d.tmp", ".thumbs/e.jpg"):
        (watching.folder / name).write_bytes(PHOTO)
    (watching.folder / "last.jpg").write_bytes(PHOTO)
    assert watching.hear("last.jpg") == {"last.jpg"}
    assert watching.inbox.waiting == 0


def test_any_name_is_heard_of(watching: Watching) -> None:
    names = [b"\xff\xfe.jpg", "ü.jpg".encode("latin-1"), b"two\nlines.jpg", b"-rf.jpg", b"n" * 255]
    for name in names:
        (watching.folder / os.fsdecode(name)).write_bytes(PHOTO)
    assert {os.fsencode(name) for name in watching.hear(*map(os.fsdecode, names))} == set(names)


def test_what_lay_there_before_is_found_at_the_start(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(PHOTO)
    watching = Watching(folder, settle_seconds=0.1)
    try:
        assert watching.inbox.waiting == 1
        found = watching.settled()
        watching.now += 1.0
        assert found | watching.settled() == {"a.jpg"}
    finally:
        watching.inbox.close()


def test_the_polling_observer_hears_of_a_new_file(folder: Path) -> None:
    watching = Watching(folder, polling="always")
    try:
        (folder / "a.jpg").write_bytes(PHOTO)
        assert watching.hear("a.jpg") == {"a.jpg"}
    finally:
        watching.inbox.close()


def test_an_inbox_that_is_a_symbolic_link_is_watched_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "inbox").symlink_to(tmp_path / "disk")
    watching = Watching(tmp_path / "inbox")
    try:
        (tmp_path / "disk" / "a.jpg").write_bytes(PHOTO)
        assert watching.hear("a.jpg") == {"a.jpg"}
    finally:
        watching.inbox.close()


# Still being written


def test_a_file_that_is_open_for_writing_is_never_settled(watching: Watching) -> None:
    path = watching.folder / "a.jpg"
    with path.open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        assert select.select([watching.inbox.fileno()], [], [], PATIENCE_SECONDS)[0]
        for _ in range(5):
            watching.now += 5000.0
            assert watching.settled() == set()
        assert watching.inbox.being_written() == [path]
    assert watching.hear("a.jpg") == {"a.jpg"}


def test_a_writer_whose_close_is_not_heard_of_is_noticed_all_the_same(folder: Path) -> None:
    with (folder / "a.jpg").open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        watching = Watching(folder, settle_seconds=1.0, recursive=False)
        watching.inbox._unwatch()
        assert watching.settled() == set()
    try:
        for _ in range(8):
            watching.now = max(watching.now, min(watching.inbox._due.values()))
            if watching.settled():
                break
        assert watching.inbox.waiting == 0
    finally:
        watching.inbox.close()


def test_a_placeholder_of_no_bytes_waits_for_its_content(watching: Watching) -> None:
    (watching.folder / "a.jpg").touch()
    (watching.folder / "b.jpg").write_bytes(PHOTO)
    assert watching.hear("b.jpg") == {"b.jpg"}
    assert watching.inbox.waiting == 1
    (watching.folder / "a.jpg").write_bytes(PHOTO)
    assert watching.hear("a.jpg") == {"a.jpg"}


def test_a_file_that_stays_empty_is_settled_in_the_end(watching: Watching) -> None:
    (watching.folder / "a.jpg").touch()
    assert select.select([watching.inbox.fileno()], [], [], PATIENCE_SECONDS)[0]
    assert watching.settled() == set()
    _settle_found_later(watching, {"a.jpg"})


def test_a_candidate_that_vanishes_is_forgotten(watching: Watching) -> None:
    (watching.folder / "a.jpg").touch()
    assert select.select([watching.inbox.fileno()], [], [], PATIENCE_SECONDS)[0]
    watching.settled()
    assert watching.inbox.waiting == 1
    (watching.folder / "a.jpg").unlink()
    watching.now += 1000.0
    assert watching.settled() == set()
    assert watching.inbox.waiting == 0


def test_what_is_in_hand_is_not_settled_again_until_it_is_let_go(watching: Watching) -> None:
    path = watching.folder / "a.jpg"
    path.write_bytes(PHOTO)
    watching.hear("a.jpg")
    path.write_bytes(PHOTO)
    (watching.folder / "b.jpg").write_bytes(PHOTO)
    assert watching.hear("b.jpg") == {"b.jpg"}
    watching.inbox.let_go(path)
    assert watching.settled() == {"a.jpg"}


def test_no_more_are_settled_than_there_is_room_for(watching: Watching) -> None:
    for number in range(5):
        (watching.folder / f"{number}.jpg").write_bytes(PHOTO)
    (watching.folder / "last.part").write_bytes(PHOTO)
    found: set[Path] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < 5 and time.monotonic() < deadline:
        some = watching.inbox.settled(watching.now, 2)
        assert len(some) <= 2
        found |= {each.path for each in some}
    assert len(found) == 5
    assert watching.inbox.settled(watching.now, 0) == []


# Looking


def test_a_look_never_waits_for_anything_and_never_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(PHOTO)
    nothing = Inspection(None, Writer.UNKNOWN)
    for path in ("fifo", "loop", "loop/a.jpg", "file/a.jpg", "none", "n" * 300, "."):
        assert inspect_file(tmp_path / path) == nothing
    assert inspect_file(tmp_path / "file").identity == identify_file((tmp_path / "file").lstat())


def test_a_file_that_another_program_has_leased_for_writing_has_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(PHOTO)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel tells the holder by it
    try:
        with path.open("r+b") as leased:
            fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            assert inspect_file(path).writer is Writer.PRESENT
    finally:
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("polling", ["never", "always"])
def test_what_is_no_regular_file_is_left_alone_and_told_once(
    folder: Path, polling: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "real.jpg").write_bytes(PHOTO)
    (folder / "link.jpg").symlink_to(tmp_path / "real.jpg")
    (folder / "album").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.jpg"))
        watching = Watching(folder, polling=polling, rescan_seconds=10.0)
        try:
            for _ in range(4):
                watching.now += 10.0
                assert watching.settled() == set()
        finally:
            watching.inbox.close()
    kinds = {record.path.name: record.kind for record in told(caplog, "left_alone")}  # type: ignore[attr-defined]
    assert kinds == {
        "link.jpg": "symbolic link",
        "album": "symbolic link",
        "fifo.jpg": "FIFO",
        "folder.jpg": "folder",
        "socket.jpg": "socket",
    }
    assert len(told(caplog, "left_alone")) == len(kinds)


def test_a_link_that_is_made_while_it_is_watched_is_told_once(
    watching: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (watching.folder / "link.jpg").symlink_to("nowhere")
    (watching.folder / "a.jpg").write_bytes(PHOTO)
    watching.hear("a.jpg")
    watching.now += NEVER
    watching.settled()
    assert len(told(caplog, "left_alone")) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # watchdog's, unclosed
def test_a_thousand_folders_in_one_another_stop_nothing(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(1200):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    (folder / "a.jpg").write_bytes(PHOTO)
    watching = Watching(folder, settle_seconds=0.1)
    try:
        found = watching.settled()
        found |= watching.check()
        watching.now += 1.0
        assert found | watching.settled() == {"a.jpg"}
    finally:
        watching.inbox.close()
        subprocess.run(["rm", "-r", folder / "d"], check=True)  # deeper than Python's own tools go


# When watching breaks


def test_an_inbox_that_is_deleted_and_made_again_is_watched_again(
    watching: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shutil.rmtree(watching.folder)
    for _ in range(3):
        assert watching.check() == set()
    assert len(told(caplog, "inbox_gone")) == 1
    watching.folder.mkdir()
    watching.check()
    (watching.folder / "a.jpg").write_bytes(PHOTO)
    assert watching.hear("a.jpg") == {"a.jpg"}
    assert len(told(caplog, "watching_again")) == 1


def test_an_inbox_that_is_replaced_is_read_and_watched_again(watching: Watching, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.jpg").write_bytes(PHOTO)
    watching.folder.rename(tmp_path / "old")
    (tmp_path / "new").rename(watching.folder)
    watching.check()
    assert watching.inbox.waiting == 1
    (watching.folder / "b.jpg").write_bytes(PHOTO)
    watching.hear("b.jpg")


def test_an_inbox_that_comes_later_is_found(tmp_path: Path) -> None:
    watching = Watching(tmp_path / "inbox")
    try:
        assert watching.check() == set()
        watching.folder.mkdir()
        watching.check()
        (watching.folder / "a.jpg").write_bytes(PHOTO)
        assert watching.hear("a.jpg") == {"a.jpg"}
    finally:
        watching.inbox.close()


def test_a_dead_observer_is_replaced_and_the_inbox_read_again(watching: Watching) -> None:
    assert watching.inbox._watcher is not None
    watching.inbox._watcher._observer.stop()
    watching.inbox._watcher._observer.join()
    (watching.folder / "a.jpg").write_bytes(PHOTO)
    assert watching.settled() == set()
    watching.check()
    assert watching.inbox.waiting == 1
    (watching.folder / "b.jpg").write_bytes(PHOTO)
    watching.hear("b.jpg")


def test_after_an_overflow_of_events_the_whole_inbox_is_read(folder: Path) -> None:
    watching = Watching(folder)
    watchdog = logging.getLogger("watchdog.observers.inotify_c")
    try:
        watching.inbox._watcher._observer.unschedule_all()  # type: ignore[union-attr]
        (folder / "a.jpg").write_bytes(PHOTO)
        assert watching.settled() == set()
        watchdog.warning("Inotify queue overflowed; filesystem events were lost")
        assert select.select([watching.inbox.fileno()], [], [], 0)[0]
        watching.settled()
        assert watching.inbox.waiting == 1
    finally:
        watching.inbox.close()


def test_a_rescan_finds_what_no_event_told(watching: Watching) -> None:
    watching.inbox._unwatch()
    (watching.folder / "a.jpg").write_bytes(PHOTO)
    assert watching.settled() == set()
    watching.inbox._scan(watching.now)
    assert watching.inbox.waiting == 1


def test_a_dead_reader_of_events_is_replaced(watching: Watching) -> None:
    assert watching.inbox._watcher is not None
    reader = watching.inbox._watcher._observer._inotify_fd
    reader.stop()
    reader.join()
    watching.check()
    (watching.folder / "a.jpg").write_bytes(PHOTO)
    assert watching.hear("a.jpg") == {"a.jpg"}


@pytest.mark.parametrize(
    "event",
    [
        FileSystemEvent(""),
        FileCreatedEvent(b"\xff\xfe"),
        FileClosedEvent("\udcff\n"),
        FileCreatedEvent("a", dest_path=b"b"),
    ],
    ids=range(4),
)
def test_no_event_ends_the_observers_thread(folder: Path, event: FileSystemEvent) -> None:
    wakeup = Wakeup()
    watcher = Watcher(folder, recursive=True, polling=False, wakeup=wakeup)
    try:
        _EventHandler(watcher).on_any_event(event)
        assert watcher.is_alive
    finally:
        watcher.close()
        wakeup.close()


def test_a_closed_inbox_leaves_no_thread_and_no_descriptor(folder: Path) -> None:
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for polling in ("never", "always"):
        Watching(folder, polling=polling).inbox.close()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before  # noqa: PTH208
