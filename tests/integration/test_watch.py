"""The inbox on a real folder: its events, which files are settled, and which are left alone."""

import errno
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
from contextlib import closing
from pathlib import Path

import pytest
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileSystemEvent

from tests.drawing import draw_jpeg, draw_photo, encode_image
from tests.patience import scale
from worker.config import InboxConfig
from worker.fileio import Wakeup, identify_file
from worker.inbox import Inbox
from worker.inbox.candidates import Inspection, Writer
from worker.inbox.inbox import CHECK_SECONDS
from worker.inbox.scanner import inspect_file, scan_folder
from worker.inbox.watcher import Event, Watcher, _EventHandler
from worker.tree import Tree

PHOTO = draw_jpeg()
PATIENCE_SECONDS = scale(20.0)
NEVER = 86_400.0
MANY = 1000


class FrozenInbox:
    """An inbox whose clock stands still, so that only events make files settle."""

    def __init__(self, folder: Path, **config: object) -> None:
        settings = {"rescan_seconds": NEVER, "settle_seconds": 1000.0} | config
        self.now = 0.0
        self.folder = folder
        self.inbox = Inbox(folder, InboxConfig(**settings), time.time)  # type: ignore[arg-type]
        self.inbox.open(self.now)

    def take_settled(self) -> set[str]:
        files = self.inbox.take_settled(self.now, MANY)
        return {str(file.path.relative_to(self.folder)) for file in files}

    def wait_for(self, *names: str) -> set[str]:
        """Wait until events have made these files settle; return all that are settled."""
        settled_names = self.take_settled()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not settled_names >= set(names):
            seconds_left = deadline - time.monotonic()
            assert seconds_left > 0, f"only {settled_names} were reported"
            select.select([self.inbox.fileno()], [], [], seconds_left)
            settled_names |= self.take_settled()
        return settled_names

    def check(self) -> set[str]:
        self.now += CHECK_SECONDS
        return self.take_settled()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def frozen(folder: Path) -> Iterator[FrozenInbox]:
    frozen = FrozenInbox(folder)
    yield frozen
    frozen.inbox.close()


def list_records(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if getattr(record, "event", None) == event]


# Events


def test_a_file_is_settled_when_its_writer_closes_it(frozen: FrozenInbox) -> None:
    with (frozen.folder / "a.jpg").open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        assert frozen.take_settled() == set()
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


def test_a_file_that_is_renamed_in_is_settled_at_once(frozen: FrozenInbox, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "a.jpg").rename(frozen.folder / "a.jpg")
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


def test_a_file_that_is_linked_in_is_settled_at_once(frozen: FrozenInbox, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    (frozen.folder / "a.jpg").hardlink_to(tmp_path / "a.jpg")
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


def test_a_download_is_settled_under_its_last_name_alone(frozen: FrozenInbox) -> None:
    (frozen.folder / "a.jpg.part").write_bytes(PHOTO)
    (frozen.folder / "a.jpg.part").rename(frozen.folder / "a.jpg")
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


def test_a_file_that_is_moved_to_a_folder_of_the_inbox_is_settled_there(frozen: FrozenInbox) -> None:
    (frozen.folder / "below").mkdir()
    (frozen.folder / "a.part").write_bytes(PHOTO)
    (frozen.folder / "a.part").rename(frozen.folder / "below" / "a.jpg")
    assert frozen.wait_for("below/a.jpg") == {"below/a.jpg"}


def test_files_of_a_folder_that_was_made_here_are_settled(frozen: FrozenInbox) -> None:
    names = {f"new/deep/{number}.jpg" for number in range(5)}
    (frozen.folder / "new" / "deep").mkdir(parents=True)
    for name in names:
        (frozen.folder / name).write_bytes(PHOTO)
    _wait_for_scanned(frozen, names)


def test_files_of_a_folder_that_was_moved_in_are_settled(frozen: FrozenInbox, tmp_path: Path) -> None:
    (tmp_path / "album" / "deep").mkdir(parents=True)
    (tmp_path / "album" / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "album" / "deep" / "b.jpg").write_bytes(PHOTO)
    (tmp_path / "album").rename(frozen.folder / "album")
    _wait_for_scanned(frozen, {"album/a.jpg", "album/deep/b.jpg"})


def _wait_for_scanned(frozen: FrozenInbox, names: set[str]) -> None:
    """Put the clock forward until files that only a scan has found are settled."""
    settled_names: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not settled_names >= names:
        assert time.monotonic() < deadline, f"only {settled_names} were settled"
        select.select([frozen.inbox.fileno()], [], [], 0.05)
        frozen.now += 2000.0
        settled_names |= frozen.take_settled()


def test_without_recursion_folders_below_are_left(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "a.jpg").write_bytes(PHOTO)
    frozen = FrozenInbox(folder, recursive=False)
    try:
        (folder / "below" / "b.jpg").write_bytes(PHOTO)
        (folder / "c.jpg").write_bytes(PHOTO)
        assert frozen.wait_for("c.jpg") == {"c.jpg"}
        assert frozen.inbox.candidate_count == 0
    finally:
        frozen.inbox.close()


def test_ignored_names_are_never_candidates(frozen: FrozenInbox) -> None:
    (frozen.folder / ".thumbs").mkdir()
    for name in ("a.jpg.part", ".hidden.jpg", "b.crdownload", "c~", "d.tmp", ".thumbs/e.jpg"):
        (frozen.folder / name).write_bytes(PHOTO)
    (frozen.folder / "last.jpg").write_bytes(PHOTO)
    assert frozen.wait_for("last.jpg") == {"last.jpg"}
    assert frozen.inbox.candidate_count == 0


def test_files_of_any_name_are_reported(frozen: FrozenInbox) -> None:
    names = [b"\xff\xfe.jpg", "ü.jpg".encode("latin-1"), b"two\nlines.jpg", b"-rf.jpg", b"n" * 255]
    for name in names:
        (frozen.folder / os.fsdecode(name)).write_bytes(PHOTO)
    assert {os.fsencode(name) for name in frozen.wait_for(*map(os.fsdecode, names))} == set(names)


def test_files_that_were_there_before_the_start_are_settled(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(PHOTO)
    frozen = FrozenInbox(folder, settle_seconds=0.1)
    try:
        assert frozen.inbox.candidate_count == 1
        settled_names = frozen.take_settled()
        frozen.now += 1.0
        assert settled_names | frozen.take_settled() == {"a.jpg"}
    finally:
        frozen.inbox.close()


def test_the_polling_observer_reports_a_new_file(folder: Path) -> None:
    frozen = FrozenInbox(folder, polling="always")
    try:
        (folder / "a.jpg").write_bytes(PHOTO)
        assert frozen.wait_for("a.jpg") == {"a.jpg"}
    finally:
        frozen.inbox.close()


def test_an_inbox_below_a_symbolic_link_is_watched_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "disk" / "inbox").mkdir(parents=True)
    (tmp_path / "photos").symlink_to(tmp_path / "disk")
    frozen = FrozenInbox(tmp_path / "photos" / "inbox")
    try:
        (tmp_path / "disk" / "inbox" / "a.jpg").write_bytes(PHOTO)
        assert frozen.wait_for("a.jpg") == {"a.jpg"}
    finally:
        frozen.inbox.close()


# Noticed by a scan


def open_filled(folder: Path, files: dict[str, bytes], **config: object) -> FrozenInbox:
    """Open an inbox that holds these files already, changed just now."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return FrozenInbox(folder, **config)


def test_a_whole_photo_that_was_copied_just_before_the_start_is_settled_at_once(folder: Path) -> None:
    photos = {f"a.{kind}": encode_image(draw_photo(1), kind) for kind in ("JPEG", "PNG", "HEIF", "WEBP")}
    frozen = open_filled(folder, photos)
    try:
        assert frozen.take_settled() == set(photos)
    finally:
        frozen.inbox.close()


def test_a_file_that_does_not_end_as_its_container_says_lies_still_first(folder: Path) -> None:
    others = {"cut.jpg": PHOTO[:-300], "a.tiff": encode_image(draw_photo(1), "TIFF"), "empty.jpg": b""}
    frozen = open_filled(folder, others)
    try:
        assert frozen.take_settled() == set()
        frozen.now += 999.0
        assert frozen.take_settled() == set()
        frozen.now += 2.0
        assert frozen.take_settled() == set(others)
    finally:
        frozen.inbox.close()


def test_a_whole_photo_is_not_settled_while_a_program_has_it_open(folder: Path) -> None:
    with (folder / "a.jpg").open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        frozen = FrozenInbox(folder)
        try:
            for _ in range(3):
                assert frozen.take_settled() == set()
                frozen.now += 5000.0
        finally:
            frozen.inbox.close()


@pytest.mark.parametrize("unknown", ["writer", "machine"])
def test_a_whole_photo_lies_still_first_where_the_kernel_does_not_know_every_writer(
    folder: Path, unknown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unknown == "writer":
        monkeypatch.delattr(fcntl, "F_SETLEASE")
    else:
        monkeypatch.setattr("worker.inbox.inbox.is_on_network", lambda _folder: True)
    frozen = open_filled(folder, {"a.jpg": PHOTO}, polling="never")
    try:
        assert frozen.take_settled() == set()
        frozen.now += 1001.0
        assert frozen.take_settled() == {"a.jpg"}
    finally:
        frozen.inbox.close()


def test_a_photo_that_is_written_again_while_it_is_inspected_is_not_settled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_meanwhile(_: Tree, path: Path) -> bool:
        (folder / path).write_bytes(PHOTO[:100])
        return True

    frozen = open_filled(folder, {"a.jpg": PHOTO})
    frozen.inbox._unwatch()
    monkeypatch.setattr("worker.inbox.inbox.is_whole_file", write_meanwhile)
    try:
        assert frozen.take_settled() == set()
    finally:
        frozen.inbox.close()


# Still being written


def test_a_file_that_is_open_for_writing_is_never_settled(frozen: FrozenInbox) -> None:
    path = frozen.folder / "a.jpg"
    with path.open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        assert select.select([frozen.inbox.fileno()], [], [], PATIENCE_SECONDS)[0]
        for _ in range(5):
            frozen.now += 5000.0
            assert frozen.take_settled() == set()
        assert frozen.inbox.candidate_count == 1
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


def test_a_file_whose_close_no_event_reports_is_settled_all_the_same(folder: Path) -> None:
    with (folder / "a.jpg").open("wb") as photo:
        photo.write(PHOTO)
        photo.flush()
        frozen = FrozenInbox(folder, settle_seconds=1.0, recursive=False)
        frozen.inbox._unwatch()
        assert frozen.take_settled() == set()
    try:
        for _ in range(8):
            frozen.now = max(frozen.now, frozen.inbox._due.find_first())
            if frozen.take_settled():
                break
        assert frozen.inbox.candidate_count == 0
    finally:
        frozen.inbox.close()


def test_a_placeholder_of_no_bytes_waits_for_its_content(frozen: FrozenInbox) -> None:
    (frozen.folder / "a.jpg").touch()
    (frozen.folder / "b.jpg").write_bytes(PHOTO)
    assert frozen.wait_for("b.jpg") == {"b.jpg"}
    assert frozen.inbox.candidate_count == 1
    (frozen.folder / "a.jpg").write_bytes(PHOTO)
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


def test_a_file_that_stays_empty_is_settled_in_the_end(frozen: FrozenInbox) -> None:
    (frozen.folder / "a.jpg").touch()
    assert select.select([frozen.inbox.fileno()], [], [], PATIENCE_SECONDS)[0]
    assert frozen.take_settled() == set()
    _wait_for_scanned(frozen, {"a.jpg"})


def test_a_candidate_that_vanishes_is_forgotten(frozen: FrozenInbox) -> None:
    (frozen.folder / "a.jpg").touch()
    assert select.select([frozen.inbox.fileno()], [], [], PATIENCE_SECONDS)[0]
    frozen.take_settled()
    assert frozen.inbox.candidate_count == 1
    (frozen.folder / "a.jpg").unlink()
    frozen.now += 1000.0
    assert frozen.take_settled() == set()
    assert frozen.inbox.candidate_count == 0


def test_what_is_in_hand_is_not_settled_again_until_it_is_let_go(frozen: FrozenInbox) -> None:
    path = frozen.folder / "a.jpg"
    path.write_bytes(PHOTO)
    frozen.wait_for("a.jpg")
    path.write_bytes(PHOTO)
    (frozen.folder / "b.jpg").write_bytes(PHOTO)
    assert frozen.wait_for("b.jpg") == {"b.jpg"}
    frozen.inbox.let_go(path)
    assert frozen.take_settled() == {"a.jpg"}


def test_no_more_are_settled_than_there_is_room_for(frozen: FrozenInbox) -> None:
    for number in range(5):
        (frozen.folder / f"{number}.jpg").write_bytes(PHOTO)
    (frozen.folder / "last.part").write_bytes(PHOTO)
    settled_paths: set[Path] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(settled_paths) < 5 and time.monotonic() < deadline:
        files = frozen.inbox.take_settled(frozen.now, 2)
        assert len(files) <= 2
        settled_paths |= {file.path for file in files}
    assert len(settled_paths) == 5
    assert frozen.inbox.take_settled(frozen.now, 0) == []


def test_many_files_are_met_in_slices_and_the_first_are_settled_meanwhile(folder: Path) -> None:
    (folder / "below").mkdir()
    for number in range(2500):
        (folder / "below" / f"{number:04}.jpg").touch()
    frozen = FrozenInbox(folder, settle_seconds=0.0)
    try:
        assert frozen.inbox.candidate_count == 1000
        assert len(frozen.inbox.take_settled(frozen.now, 10)) == 10
        assert frozen.inbox.is_scanning
        assert frozen.inbox.next_due() < frozen.now
        assert len(frozen.inbox.take_settled(frozen.now, 10)) == 10
        assert not frozen.inbox.is_scanning
        assert frozen.inbox.candidate_count == 2480
    finally:
        frozen.inbox.close()


# Inspections


def test_an_inspection_never_waits_and_never_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(PHOTO)
    nothing = Inspection(None, Writer.UNKNOWN)
    with closing(Tree(tmp_path)) as tree:
        for path in ("fifo", "loop", "loop/a.jpg", "file/a.jpg", "none", "n" * 300, "."):
            assert inspect_file(tree, Path(path)) == nothing
        assert inspect_file(tree, Path("file")).identity == identify_file((tmp_path / "file").lstat())


def test_a_file_that_another_program_has_leased_for_writing_has_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(PHOTO)
    handler = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by which the kernel warns the holder
    try:
        with path.open("r+b") as leased, closing(Tree(tmp_path)) as tree:
            fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            assert inspect_file(tree, Path("a.jpg")).writer is Writer.PRESENT
    finally:
        signal.signal(signal.SIGIO, handler)


def test_a_folder_that_is_swapped_for_a_symbolic_link_after_its_event_is_not_scanned(
    frozen: FrozenInbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.jpg").write_bytes(PHOTO)
    (frozen.folder / "album").symlink_to(outside)
    frozen.inbox._handle_event(Event(frozen.folder / "album", None), frozen.now)
    assert frozen.take_settled() == set()
    assert frozen.inbox.candidate_count == 0


def test_a_folder_that_is_swapped_for_a_symbolic_link_after_its_scan_is_not_read(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (folder / "album").mkdir()
    frozen = open_filled(folder, {"album/a.jpg": PHOTO})
    try:
        (folder / "album").rename(outside / "album")
        (folder / "album").symlink_to(outside / "album")
        frozen.now += 1000.0
        assert frozen.take_settled() == set()
    finally:
        frozen.inbox.close()


def test_private_names_are_ignored_whatever_is_configured(folder: Path) -> None:
    frozen = open_filled(folder, {".moodsort-1.leaving": PHOTO, ".hidden.jpg": PHOTO}, ignore=())
    try:
        assert frozen.take_settled() == {".hidden.jpg"}
    finally:
        frozen.inbox.close()


def test_a_folder_that_cannot_be_read_is_named_with_its_cause(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not stop root
    entries = list(scan_folder(folder, recursive=True, is_ignored=lambda _: False))
    assert entries == [(folder, "folder that cannot be read (Permission denied)")]


def test_a_scan_without_descriptors_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    (folder / "a.jpg").write_bytes(PHOTO)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        frozen = FrozenInbox(folder, recursive=False)
        for _ in range(3):
            assert frozen.check() == set()
    try:
        assert frozen.check() == {"a.jpg"}
        assert len(list_records(caplog, "exhausted")) == 1
    finally:
        frozen.inbox.close()


def test_many_links_are_one_line_with_their_number(
    folder: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(60):
        (folder / f"{number}.jpg").symlink_to(tmp_path / "real.jpg")
    frozen = FrozenInbox(folder, rescan_seconds=10.0)
    try:
        for _ in range(3):
            frozen.now += 10.0
            assert frozen.take_settled() == set()
    finally:
        frozen.inbox.close()
    (record,) = list_records(caplog, "left_alone")
    assert (record.count, record.kind, record.path) == (60, "symbolic link", folder)  # type: ignore[attr-defined]


@pytest.mark.parametrize("polling", ["never", "always"])
def test_anything_but_a_regular_file_is_left_alone_and_logged_once(
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
        frozen = FrozenInbox(folder, polling=polling, rescan_seconds=10.0)
        try:
            for _ in range(4):
                frozen.now += 10.0
                assert frozen.take_settled() == set()
        finally:
            frozen.inbox.close()
    kinds = {record.path.name: record.kind for record in list_records(caplog, "left_alone")}  # type: ignore[attr-defined]
    assert kinds == {
        "link.jpg": "symbolic link",
        "album": "symbolic link",
        "fifo.jpg": "FIFO",
        "folder.jpg": "folder",
        "socket.jpg": "socket",
    }
    assert len(list_records(caplog, "left_alone")) == len(kinds)


def test_a_link_that_is_made_while_the_inbox_is_watched_is_logged_once(
    frozen: FrozenInbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (frozen.folder / "link.jpg").symlink_to("nowhere")
    (frozen.folder / "a.jpg").write_bytes(PHOTO)
    frozen.wait_for("a.jpg")
    frozen.now += NEVER
    frozen.take_settled()
    assert len(list_records(caplog, "left_alone")) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # watchdog's, unclosed
def test_a_thousand_nested_folders_stop_nothing(folder: Path) -> None:
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
    frozen = FrozenInbox(folder, settle_seconds=0.1)
    try:
        settled_names = frozen.take_settled()
        settled_names |= frozen.check()
        frozen.now += 1.0
        assert settled_names | frozen.take_settled() == {"a.jpg"}
    finally:
        frozen.inbox.close()
        subprocess.run(["rm", "-r", folder / "d"], check=True)  # nested too deep for shutil.rmtree


# Companions and litter

COMPANIONS = (
    "IMG_1.xmp",
    "IMG_1.HEIC.xmp",
    "IMG_1.AAE",
    "IMG_1.MOV",
    "IMG_1.HEIC.supplemental-metadata.json",
)


def test_the_companions_of_a_photo_stay_and_are_one_line_with_their_number(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in (*COMPANIONS, "IMG_1.HEIC"):
        (folder / name).write_bytes(PHOTO)
    frozen = FrozenInbox(folder, rescan_seconds=10.0)
    try:
        assert frozen.take_settled() == {"IMG_1.HEIC"}
        for _ in range(3):
            frozen.now += 10.0
            assert frozen.take_settled() == set()
        assert frozen.inbox.candidate_count == 0
    finally:
        frozen.inbox.close()
    (record,) = list_records(caplog, "left_alone")
    assert (record.count, record.kind, record.path) == (5, "companion", folder)  # type: ignore[attr-defined]


def test_companions_that_come_later_stay_and_are_logged_by_the_next_scan(
    frozen: FrozenInbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in (*COMPANIONS, "IMG_1.HEIC"):
        (frozen.folder / name).write_bytes(PHOTO)
    assert frozen.wait_for("IMG_1.HEIC") == {"IMG_1.HEIC"}
    assert list_records(caplog, "left_alone") == []
    frozen.now += NEVER
    assert frozen.take_settled() == set()
    (record,) = list_records(caplog, "left_alone")
    assert record.count == 5  # type: ignore[attr-defined]


def test_what_the_configuration_does_not_call_a_companion_is_settled(folder: Path) -> None:
    (folder / "a.mov").write_bytes(PHOTO)
    (folder / "a.xmp").write_bytes(PHOTO)
    frozen = FrozenInbox(folder, companions=("*.xmp",))
    try:
        assert frozen.take_settled() == {"a.mov"}
    finally:
        frozen.inbox.close()


def test_what_systems_leave_in_folders_is_never_a_candidate(frozen: FrozenInbox) -> None:
    for name in (".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini"):
        (frozen.folder / name).write_bytes(PHOTO)
    for name in (".Trashes", ".AppleDouble", "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "__MACOSX"):
        (frozen.folder / "album" / name).mkdir(parents=True)
        (frozen.folder / "album" / name / "thumb.jpg").write_bytes(PHOTO)
    (frozen.folder / "last.jpg").write_bytes(PHOTO)
    frozen.wait_for("last.jpg")
    frozen.now += NEVER
    assert frozen.take_settled() == set()
    assert frozen.inbox.candidate_count == 0


# When watching fails


def test_an_inbox_that_is_deleted_and_made_again_is_watched_again(
    frozen: FrozenInbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shutil.rmtree(frozen.folder)
    for _ in range(3):
        assert frozen.check() == set()
    assert len(list_records(caplog, "inbox_gone")) == 1
    frozen.folder.mkdir()
    frozen.check()
    (frozen.folder / "a.jpg").write_bytes(PHOTO)
    assert frozen.wait_for("a.jpg") == {"a.jpg"}
    assert len(list_records(caplog, "watching_again")) == 1


def test_an_inbox_that_is_replaced_is_read_and_watched_again(frozen: FrozenInbox, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.jpg").write_bytes(PHOTO)
    frozen.folder.rename(tmp_path / "old")
    (tmp_path / "new").rename(frozen.folder)
    assert frozen.check() == {"a.jpg"}
    (frozen.folder / "b.jpg").write_bytes(PHOTO)
    frozen.wait_for("b.jpg")


def test_an_inbox_that_is_created_later_is_watched(tmp_path: Path) -> None:
    frozen = FrozenInbox(tmp_path / "inbox")
    try:
        assert frozen.check() == set()
        frozen.folder.mkdir()
        frozen.check()
        (frozen.folder / "a.jpg").write_bytes(PHOTO)
        assert frozen.wait_for("a.jpg") == {"a.jpg"}
    finally:
        frozen.inbox.close()


def test_a_dead_observer_is_replaced_and_the_inbox_read_again(frozen: FrozenInbox) -> None:
    assert frozen.inbox._watcher is not None
    frozen.inbox._watcher._observer.stop()
    frozen.inbox._watcher._observer.join()
    (frozen.folder / "a.jpg").write_bytes(PHOTO)
    assert frozen.check() == {"a.jpg"}
    (frozen.folder / "b.jpg").write_bytes(PHOTO)
    frozen.wait_for("b.jpg")


def test_after_an_overflow_of_events_the_whole_inbox_is_read(folder: Path) -> None:
    frozen = FrozenInbox(folder)
    watchdog = logging.getLogger("watchdog.observers.inotify_c")
    try:
        frozen.inbox._watcher._observer.unschedule_all()  # type: ignore[union-attr]
        (folder / "a.jpg").write_bytes(PHOTO)
        assert frozen.take_settled() == set()
        watchdog.warning("Inotify queue overflowed; filesystem events were lost")
        assert select.select([frozen.inbox.fileno()], [], [], 0)[0]
        assert frozen.take_settled() == {"a.jpg"}
    finally:
        frozen.inbox.close()


def test_a_rescan_finds_what_no_event_reported(frozen: FrozenInbox) -> None:
    frozen.inbox._watcher._observer.unschedule_all()  # type: ignore[union-attr]
    (frozen.folder / "a.jpg").write_bytes(PHOTO)
    assert frozen.take_settled() == set()
    frozen.inbox._scan()
    assert frozen.take_settled() == {"a.jpg"}


def test_a_dead_reader_of_events_is_replaced(frozen: FrozenInbox) -> None:
    assert frozen.inbox._watcher is not None
    reader = frozen.inbox._watcher._observer._inotify_fd
    reader.stop()
    reader.join()
    frozen.check()
    (frozen.folder / "a.jpg").write_bytes(PHOTO)
    assert frozen.wait_for("a.jpg") == {"a.jpg"}


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
        FrozenInbox(folder, polling=polling).inbox.close()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before  # noqa: PTH208


def test_an_inbox_that_is_closed_while_events_come_logs_nothing(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Many times: where nothing orders the threads, an event is lost among them in most of these, not in all.
    for _ in range(8):
        (folder / "a.jpg").write_bytes(PHOTO)
        frozen = FrozenInbox(folder)
        # watchdog holds the first event back for half a second, and the others behind it.
        (folder / "a.jpg").rename(tmp_path / "b.jpg")
        (folder / "c.jpg").write_bytes(PHOTO)
        frozen.inbox.close()
    assert caplog.records == []
