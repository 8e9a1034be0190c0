"""Which files are opened for a process, and what it sends of each."""

import errno
import fcntl
import hashlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg
from tests.patience import scale
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.errors import Reason
from worker.pool.job_runner import FileHasher, JobRunner
from worker.pool.messages import (
    Declined,
    Digest,
    Done,
    Hash,
    HashProgress,
    Opened,
    Report,
    Syncing,
    Unread,
    Work,
)
from worker.pool.photo_file import OpenedFile, open_photo, open_regular
from worker.pool.prediction_task import PhotoResult, PredictionTask
from worker.pool.protocol import Delayed, Gone, Refused

LIMITS = Limits(max_file_bytes=1_000_000)

PATIENCE_SECONDS = scale(30.0)


@pytest.fixture(scope="module")
def predict() -> Callable[[bytes], PhotoResult]:
    return PredictionTask(BUILT_IN_BUNDLE).load(LIMITS)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(draw_jpeg())
    return path


@contextmanager
def open_runner(
    run: Callable[[bytes], PhotoResult], reports: list[Report], sync: Callable[[int], None] = os.fsync
) -> Iterator[JobRunner[PhotoResult]]:
    with closing(JobRunner(run, LIMITS, reports.append, sync)) as runner:
        yield runner


def run(
    run_task: Callable[[bytes], PhotoResult],
    path: Path,
    *,
    size_bytes: int | None = None,
    is_suspect: bool = False,
    sync: Callable[[int], None] = lambda descriptor: None,
) -> list[Report]:
    """Run the job of one file; return what is sent, without that the disk is waited for."""
    reports: list[Report] = []
    descriptor = open_photo(path)
    job = Work(1, path.stat().st_size if size_bytes is None else size_bytes, is_suspect)
    with open_runner(run_task, reports, sync) as runner:
        runner.run(job, descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    return [report for report in reports if not isinstance(report, Syncing)]


def test_the_hash_of_a_file_is_sent_before_its_result(
    predict: Callable[[bytes], PhotoResult], photo: Path
) -> None:
    opened, done = run(predict, photo)
    assert opened == Opened(1, hashlib.sha256(draw_jpeg()).hexdigest())
    assert isinstance(done, Done)


def test_a_file_that_is_no_picture_is_declined(
    predict: Callable[[bytes], PhotoResult], tmp_path: Path
) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"Dear diary")
    _, declined = run(predict, path)
    assert isinstance(declined, Declined)
    assert declined.reason is Reason.NOT_AN_IMAGE


def test_a_file_that_has_grown_too_large_since_it_was_opened_is_tried_again(
    predict: Callable[[bytes], PhotoResult], tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(LIMITS.max_file_bytes + 1))
    assert run(predict, path, size_bytes=10) == [Unread(1, errno.EAGAIN)]


def test_a_files_content_is_durable_before_its_result_is_sent(
    predict: Callable[[bytes], PhotoResult], photo: Path
) -> None:
    reports: list[Report] = []
    reports_at_sync: list[Report] = []
    is_syncing = threading.Event()

    def sync(descriptor: int) -> None:
        assert os.fstat(descriptor).st_ino == photo.stat().st_ino
        assert is_syncing.wait(PATIENCE_SECONDS)
        reports_at_sync.extend(reports)

    def send(report: Report) -> None:
        reports.append(report)
        if isinstance(report, Syncing):
            is_syncing.set()

    with closing(JobRunner(predict, LIMITS, send, sync)) as runner:
        runner.run(Work(1, photo.stat().st_size, is_suspect=False), open_photo(photo))
    # Decoded meanwhile, which does not count as its time any more.
    assert [type(report) for report in reports_at_sync] == [Opened, Syncing]
    assert [type(report) for report in reports] == [Opened, Syncing, Done]


def test_a_suspect_is_decoded_only_when_it_is_on_the_disk(
    predict: Callable[[bytes], PhotoResult], photo: Path
) -> None:
    steps: list[str] = []

    def predict_and_record(data: bytes) -> PhotoResult:
        steps.append("predict")
        return predict(data)

    run(predict_and_record, photo, is_suspect=True, sync=lambda _: steps.append("sync"))
    assert steps == ["sync", "predict"]


@pytest.mark.parametrize(
    ("number", "is_completed"), [(errno.EINVAL, True), (errno.EROFS, True), (errno.EIO, False)]
)
def test_a_file_that_cannot_be_made_durable_is_classified_unless_its_disk_fails(
    predict: Callable[[bytes], PhotoResult], photo: Path, number: int, is_completed: bool
) -> None:
    def sync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    report = run(predict, photo, sync=sync)[-1]
    assert isinstance(report, Done) if is_completed else report == Unread(1, errno.EIO)


# Hashing


def test_a_large_file_is_hashed_in_slices(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(80_000_000)
        file.write(b"not all zeros")
    hasher = FileHasher(Hash(7, path.stat().st_size), open_photo(path), sync=lambda descriptor: None)
    reports: list[Report] = []
    while not hasher.is_closed:
        report = hasher.advance()
        reports += [report] if report else []
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert reports == [HashProgress(7)] * 3 + [Digest(7, digest)]


def test_a_file_that_grows_while_it_is_hashed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(101))
    hasher = FileHasher(Hash(7, 100), open_photo(path), sync=lambda descriptor: None)
    assert hasher.advance() == Unread(7, errno.EAGAIN)
    assert hasher.is_closed


def test_a_file_that_cannot_be_read_to_its_end_has_no_hash(tmp_path: Path) -> None:
    hasher = FileHasher(Hash(7, 1), os.open(tmp_path, os.O_RDONLY), sync=lambda descriptor: None)
    assert hasher.advance() == Unread(7, errno.EISDIR)
    assert hasher.is_closed


# Opening


def test_a_file_that_has_vanished_is_gone(tmp_path: Path, photo: Path) -> None:
    assert open_regular(1, tmp_path / "none.jpg", open_photo) == Gone(1)
    assert open_regular(1, photo / "below.jpg", open_photo) == Gone(1)


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "socket", "folder", "loop", "device"])
def test_what_is_no_regular_file_is_never_read(tmp_path: Path, photo: Path, kind: str) -> None:
    path = tmp_path / "b.jpg"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "FIFO":
                os.mkfifo(path)
            case "symbolic link":
                path.symlink_to(photo)
            case "socket":
                listener.bind(str(path))
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path)
            case "device":
                path = Path("/dev/zero")
        assert open_regular(1, path, open_photo) == Gone(1)


def refuse_with(number: int) -> Callable[[Path], int]:
    def refuse(path: Path) -> int:
        raise OSError(number, os.strerror(number))

    return refuse  # root may read everything


def test_a_file_that_the_system_refuses_is_unreadable(photo: Path) -> None:
    refused = Refused(1, None, Reason.UNREADABLE, "it cannot be read: Permission denied")
    assert open_regular(1, photo, refuse_with(errno.EACCES)) == refused


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ESTALE], ids=errno.errorcode.get)
def test_a_cause_that_says_nothing_of_the_file_only_delays_it(photo: Path, number: int) -> None:
    assert isinstance(open_regular(1, photo, refuse_with(number)), Delayed)


def test_a_file_that_another_program_has_leased_for_writing_is_delayed(photo: Path) -> None:
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by it the kernel asks the holder for the lease
    try:
        with photo.open("r+b") as leased:
            fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            assert isinstance(open_regular(1, photo, open_photo), Delayed)
    finally:
        signal.signal(signal.SIGIO, before)


def test_a_regular_file_is_opened_without_waiting(photo: Path) -> None:
    opened = open_regular(1, photo, open_photo)
    assert isinstance(opened, OpenedFile)
    assert (opened.identity.inode, opened.identity.size_bytes) == (photo.stat().st_ino, len(draw_jpeg()))
    os.close(opened.descriptor)
