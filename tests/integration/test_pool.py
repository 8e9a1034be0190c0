"""Child processes that die, hang and run wild: what becomes of the photos, and of the processes."""

import errno
import fcntl
import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any, Generic

import pytest

from tests.drawing import build_pixel_bomb, draw_jpeg, draw_photo, encode_image
from tests.integration.child_tasks import DyingTask, HostileTask, UnfitTask, WordCount, WordCountTask
from tests.patience import scale
from tests.scene_bundle import make_scene_bundle
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.errors import BundleError, Reason
from worker.pool.batch import check_task, run_batch
from worker.pool.pool import START_SECONDS, Pool, Spawn, spawn_process
from worker.pool.prediction_task import PhotoResult, PredictionTask
from worker.pool.process import JobRunner
from worker.pool.protocol import Completed, Delayed, Gone, Job, JobResult, Opened, Refused, Setup, T

LIMITS = Limits(max_file_bytes=1_000_000, max_pixels=10_000_000, decode_seconds=60.0, memory_bytes=1 << 30)
HOSTILE_SETUP = Setup(HostileTask(BUILT_IN_BUNDLE), LIMITS)
PREDICTION_SETUP = Setup(PredictionTask(BUILT_IN_BUNDLE), LIMITS)

PATIENCE_SECONDS = scale(30.0)

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _children_can_import_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))


def spawn_script(*arguments: str | Path) -> Spawn:
    def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, *map(str, arguments), str(descriptor)],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return spawn


spawn_dying = spawn_script(Path(__file__).with_name("dying_process.py"))
spawn_sleeping = spawn_script("-c", "import time; time.sleep(3600)")


class Driver(Generic[T]):
    """A pool with a clock that stands still until the test moves it."""

    def __init__(self, setup: Setup[T], size: int = 1, spawn: Spawn = spawn_process) -> None:
        self.now = 1000.0
        self.processes: list[subprocess.Popen[bytes]] = []
        self._spawn = spawn
        self.pool = Pool(setup, size, self.now, self._spawn_and_remember)

    def _spawn_and_remember(self, descriptor: int) -> "subprocess.Popen[bytes]":
        self.processes.append(self._spawn(descriptor))
        return self.processes[-1]

    def collect_next(self) -> list[JobResult[T]]:
        """Wait for a message of any process, and handle it."""
        assert wait(self.pool.connections, timeout=PATIENCE_SECONDS), "no process sends anything"
        return self.pool.collect(self.now)

    def make_ready(self, room: int = 1) -> None:
        while self.pool.room < room:
            self.collect_next()

    def run(self, *paths: Path) -> dict[int, JobResult[T]]:
        """Run the task on the files as one batch; the keys are their indices in it."""
        self.make_ready()
        self.pool.submit([Job(key, path) for key, path in enumerate(paths)], self.now)
        results: dict[int, JobResult[T]] = {}
        while len(results) < len(paths):
            results |= {result.key: result for result in self.collect_next()}
        assert not self.pool.is_busy
        return results

    def expire(self) -> list[JobResult[T]]:
        """Move the clock to the time at which a silent process counts as hung."""
        self.now = self.pool.next_deadline()
        return self.pool.collect(self.now)

    def close(self) -> None:
        self.pool.close()


@pytest.fixture
def driver() -> Iterator[Driver[PhotoResult]]:
    with closing(Driver(HOSTILE_SETUP)) as driver:
        yield driver


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def write_photos(folder: Path, photos: int) -> list[Path]:
    return [write(folder, f"{number}.jpg", draw_jpeg(number)) for number in range(photos)]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Results


def test_each_result_of_a_batch_names_the_file_that_was_read(tmp_path: Path) -> None:
    paths = write_photos(tmp_path, 3)
    with closing(Driver(PREDICTION_SETUP)) as driver:
        results = driver.run(*paths, write(tmp_path, "text.jpg", b"Dear diary"))
    for key, path in enumerate(paths):
        completed = results[key]
        assert isinstance(completed, Completed)
        assert completed.file.sha256 == sha256(path.read_bytes())
        assert completed.file.identity.inode == path.stat().st_ino
        photo = completed.result
        assert (photo.width, photo.height) == (96, 64)
        assert set(photo.prediction.probabilities) == {"happy", "sad"}
        assert photo.prediction.confidence == photo.prediction.probabilities[photo.prediction.label]
    refused = results[3]
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.NOT_AN_IMAGE


def test_a_task_of_any_kind_has_results_of_its_own_type(tmp_path: Path) -> None:
    with closing(Driver(Setup(WordCountTask(), LIMITS))) as driver:
        results = driver.run(write(tmp_path, "a", b"one two three"), write(tmp_path, "b", b"  "))
    counted, refused = results[0], results[1]
    assert isinstance(counted, Completed)
    assert counted.result == WordCount(3)
    assert counted.file.sha256 == sha256(b"one two three")
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.detail) == (Reason.EMPTY, "there is no word in it")


def test_batches_go_to_every_free_process(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jpg", draw_jpeg())
    with closing(Driver(HOSTILE_SETUP, size=2)) as driver:
        driver.make_ready(room=2)
        driver.pool.submit([Job(1, path)], driver.now)
        assert driver.pool.room == 1
        driver.pool.submit([Job(2, path)], driver.now)
        assert driver.pool.room == 0
        results: list[JobResult[PhotoResult]] = []
        while driver.pool.is_busy:
            results += driver.collect_next()
        assert sorted(result.key for result in results) == [1, 2]


def test_the_parent_does_not_load_what_only_its_children_need() -> None:
    code = "import sys, worker.daemon.worker, worker.pool.prediction_task; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scale(50)
    )
    assert "worker.pool.prediction_task" in done.stdout.split()
    assert not {"ai_edge_litert", "numpy", "PIL"} & set(done.stdout.split())


# Batches of many files


def test_a_batch_has_its_results_in_the_order_of_its_files(tmp_path: Path) -> None:
    signal_path = os.fsencode(tmp_path / "signal")
    paths = [
        write(tmp_path, "first", b"AWAIT " + signal_path),
        *(write(tmp_path, str(words), b"word " * words) for words in range(1, 20)),
        tmp_path / "missing",
        write(tmp_path, "last", b"TOUCH " + signal_path),
    ]
    limits = replace(LIMITS, decode_seconds=PATIENCE_SECONDS)
    results = list(run_batch(WordCountTask(), paths, limits, processes=2, batch_size=1))
    assert [result.key for result in results] == list(range(22))
    completed = [result for result in results if isinstance(result, Completed)]
    assert [counted.result.words for counted in completed] == [2, *range(1, 20), 2]
    assert results[20] == Gone(20)


def test_a_batch_of_no_files_has_no_results() -> None:
    assert list(run_batch(WordCountTask(), [], LIMITS, processes=2)) == []


def test_a_batch_whose_task_cannot_be_loaded_raises_what_the_task_raised(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"^the moon is full$"):
        list(run_batch(UnfitTask("the moon is full"), [tmp_path / "a"], LIMITS, processes=1))


def test_a_task_that_can_be_loaded_passes_the_check() -> None:
    check_task(WordCountTask(), LIMITS)


def test_a_task_that_cannot_be_loaded_fails_the_check_with_what_it_raised() -> None:
    with pytest.raises(BundleError, match=r"^the moon is full$"):
        check_task(UnfitTask("the moon is full"), LIMITS)


def test_a_task_that_kills_its_process_fails_the_check_and_not_the_parent() -> None:
    with pytest.raises(BundleError, match=r"do not start: the decoder ended with signal 4 \(SIGILL\)"):
        check_task(DyingTask(), LIMITS)


def test_the_check_of_a_task_ends_when_it_is_not_wanted_any_more() -> None:
    ticks = count()
    check_task(UnfitTask("never raised"), LIMITS, lambda: float(next(ticks)), lambda: False)


# What a file does to its decoder


@pytest.mark.parametrize(
    ("word", "cause"),
    [("SEGFAULT", "signal 11 (SIGSEGV)"), ("LEAVE", "exit status 3"), ("HOG", "exit status 1")],
)
def test_a_killer_is_refused_and_the_rest_of_its_batch_classified(
    driver: Driver[PhotoResult], tmp_path: Path, word: str, cause: str
) -> None:
    killer = f"{word} now".encode()
    paths = write_photos(tmp_path, 4)
    paths[1] = write(tmp_path, "killer.jpg", killer)

    results = driver.run(*paths)

    assert [type(results[key]) for key in range(4)] == [Completed, Refused, Completed, Completed]
    refused = results[1]
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DECODER_CRASHED
    assert cause in refused.detail
    assert refused.file is not None
    assert refused.file.sha256 == sha256(killer)
    assert len(driver.processes) == 3, "more than the two that the killer itself has killed were replaced"


def test_two_killers_in_a_batch_are_both_refused_and_the_rest_classified(
    driver: Driver[PhotoResult], tmp_path: Path
) -> None:
    paths = write_photos(tmp_path, 4)
    paths[0] = write(tmp_path, "one.jpg", b"SEGFAULT one")
    paths[2] = write(tmp_path, "two.jpg", b"LEAVE two")
    results = driver.run(*paths)
    assert [type(results[key]) for key in range(4)] == [Refused, Completed, Refused, Completed]


def test_an_unforeseen_error_is_the_files_and_not_the_workers(
    driver: Driver[PhotoResult], tmp_path: Path
) -> None:
    results = driver.run(write(tmp_path, "a.jpg", b"RAISE it"))
    assert isinstance(results[0], Refused)
    assert results[0].reason is Reason.DECODER_CRASHED


def test_a_process_that_ended_is_logged_with_its_cause(
    driver: Driver[PhotoResult], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    driver.run(write(tmp_path, "a.jpg", b"LEAVE now"))
    records = [vars(record) for record in caplog.records if record.name == "worker.pool.pool"]
    events = [(record["event"], record["pid"], record["cause"]) for record in records if "event" in record]
    cause = "the decoder ended with exit status 3"
    assert events == [("process_ended", popen.pid, cause) for popen in driver.processes[:2]]


def test_a_file_that_hangs_its_decoder_is_refused_after_its_second_time_limit(
    driver: Driver[PhotoResult], tmp_path: Path
) -> None:
    content = b"HANG for ever"
    driver.make_ready()
    driver.pool.submit([Job(5, write(tmp_path, "a.jpg", content))], driver.now)
    started = driver.now
    assert driver.collect_next() == [], "it has been opened, no more"
    assert driver.expire() == []
    assert driver.now == started + LIMITS.decode_seconds
    while not driver.pool.is_ready:
        assert driver.collect_next() == []
    driver.collect_next()

    (refused,) = driver.expire()

    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DECODE_TIMEOUT
    assert refused.file is not None
    assert refused.file.sha256 == sha256(content)


def test_one_slow_photo_does_not_use_up_the_time_of_the_next(
    driver: Driver[PhotoResult], tmp_path: Path
) -> None:
    driver.make_ready()
    driver.pool.submit([Job(key, path) for key, path in enumerate(write_photos(tmp_path, 3))], driver.now)
    results: list[JobResult[PhotoResult]] = []
    while len(results) < 3:
        driver.now += LIMITS.decode_seconds * 0.9
        results += driver.collect_next()
    assert all(isinstance(result, Completed) for result in results)
    assert len(driver.processes) == 1


def test_a_photo_whose_process_died_is_submitted_again_as_retried(tmp_path: Path) -> None:
    with closing(Driver(PREDICTION_SETUP, spawn=spawn_dying)) as driver:
        results = driver.run(tmp_path / "a.jpg")
    assert results == {0: Delayed(0, "retried")}
    assert len(driver.processes) == 2


def test_a_process_that_is_stopped_is_replaced_and_its_photo_classified(
    driver: Driver[PhotoResult], tmp_path: Path
) -> None:
    driver.make_ready()
    driver.processes[0].send_signal(signal.SIGSTOP)
    driver.pool.submit([Job(0, write(tmp_path, "a.jpg", draw_jpeg()))], driver.now)
    assert driver.expire() == []
    results: list[JobResult[PhotoResult]] = []
    while not results:
        results = driver.collect_next()
    assert isinstance(results[0], Completed)
    assert driver.processes[0].returncode == -signal.SIGKILL


def test_an_idle_process_that_dies_is_replaced(driver: Driver[PhotoResult], tmp_path: Path) -> None:
    driver.make_ready()
    driver.processes[0].kill()
    driver.processes[0].wait()
    assert isinstance(driver.run(write(tmp_path, "a.jpg", draw_jpeg()))[0], Completed)


def test_a_picture_beyond_the_memory_limit_is_refused_for_its_pixels(tmp_path: Path) -> None:
    limits = replace(LIMITS, max_pixels=1 << 40, memory_bytes=1 << 29)
    with closing(Driver(replace(PREDICTION_SETUP, limits=limits))) as driver:
        results = driver.run(write(tmp_path, "a.png", build_pixel_bomb(14_000)))
    assert isinstance(results[0], Refused)
    assert results[0].reason is Reason.TOO_MANY_PIXELS
    assert "limits.memory_bytes" in results[0].detail


# Starting


def test_processes_that_do_not_start_are_given_up_after_three() -> None:
    with closing(Driver(HOSTILE_SETUP, spawn=spawn_script("-c", "raise SystemExit(7)"))) as driver:
        with pytest.raises(BundleError, match=r"do not start: the decoder ended with exit status 7"):
            driver.make_ready()
        assert len(driver.processes) == 3


def test_a_process_that_never_gets_ready_is_replaced() -> None:
    with closing(Driver(HOSTILE_SETUP, spawn=spawn_sleeping)) as driver:
        driver.expire()
        assert driver.now == 1000.0 + START_SECONDS
        assert len(driver.processes) == 2
        assert not driver.pool.is_ready


def test_a_task_that_is_unfit_is_an_error_in_its_own_words() -> None:
    with (
        closing(Driver(Setup(UnfitTask("the moon is full"), LIMITS))) as driver,
        pytest.raises(BundleError, match=r"^the moon is full$"),
    ):
        driver.make_ready()


def test_a_bundle_that_is_damaged_is_an_error_in_its_own_words(tmp_path: Path) -> None:
    folder = make_scene_bundle(tmp_path / "bundle")
    (folder / "scene.tflite").write_bytes(b"spoilt")
    with (
        closing(Driver(Setup(PredictionTask(folder), LIMITS))) as driver,
        pytest.raises(BundleError, match=r"scene\.tflite: its SHA-256 is not the manifest's"),
    ):
        driver.make_ready()


def test_waiting_for_a_process_ends_when_it_is_not_wanted_any_more() -> None:
    answers = iter([True, False])
    with closing(Driver(HOSTILE_SETUP, spawn=spawn_sleeping)) as driver:
        driver.pool.wait_ready(lambda: driver.now, lambda: next(answers))
        assert not driver.pool.is_ready


# Ending


def list_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_nothing_is_left_of_a_pool_that_was_closed(tmp_path: Path) -> None:
    before = list_descriptors()
    driver = Driver(HOSTILE_SETUP, size=2)
    driver.make_ready()
    driver.pool.submit([Job(0, write(tmp_path, "a.jpg", b"HANG now"))], driver.now)
    driver.collect_next()

    driver.close()

    assert all(popen.returncode is not None for popen in driver.processes)
    assert list_descriptors() == before
    driver.close()


def test_nothing_is_left_of_processes_that_were_replaced(driver: Driver[PhotoResult], tmp_path: Path) -> None:
    driver.make_ready()
    before = list_descriptors()
    driver.run(write(tmp_path, "a.jpg", b"LEAVE now"))
    driver.make_ready()
    assert len(list_descriptors()) == len(before)
    assert [popen.returncode for popen in driver.processes] == [3, 3, None]


@pytest.mark.parametrize("content", [draw_jpeg(), b"HANG now"], ids=["idle", "decoding"])
def test_child_processes_end_when_their_parent_is_killed(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, "a.jpg", content)
    command = [sys.executable, "-m", "tests.integration.pool_owner", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as owner:
        try:
            assert owner.stdout is not None
            pids = [int(word) for word in owner.stdout.readline().split()]
            pid_descriptors = [os.pidfd_open(pid) for pid in pids]
        finally:
            owner.kill()
    assert len(pid_descriptors) == 2
    try:
        for descriptor in pid_descriptors:
            assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], "it outlives its parent"
    finally:
        for descriptor in pid_descriptors:
            os.close(descriptor)


# Which files are opened, and what is sent of each


@contextmanager
def open_runner(sync: Callable[[int], None] = os.fsync) -> Iterator[JobRunner[PhotoResult]]:
    with closing(JobRunner(PREDICTION_SETUP.task.load(LIMITS), LIMITS, sync)) as runner:
        yield runner


@pytest.fixture(scope="module")
def runner() -> Iterator[JobRunner[PhotoResult]]:
    with open_runner() as runner:
        yield runner


def run(runner: JobRunner[PhotoResult], path: Path) -> tuple[JobResult[PhotoResult], list[Any]]:
    """Run the job of one file; return its result, and the messages sent before it."""
    ours, theirs = Pipe()
    with ours, theirs:
        result = runner.run(Job(1, path), theirs)
        messages = []
        while ours.poll():
            messages.append(ours.recv())
    return result, messages


def test_the_hash_of_a_file_is_sent_before_it_is_decoded(
    runner: JobRunner[PhotoResult], tmp_path: Path
) -> None:
    result, messages = run(runner, write(tmp_path, "a.jpg", draw_jpeg()))
    assert isinstance(result, Completed)
    assert messages == [Opened(1, result.file)]
    assert result.file.sha256 == sha256(draw_jpeg())


def test_a_files_content_is_durable_before_its_result_is_returned(tmp_path: Path) -> None:
    synced_paths: list[bytes] = []

    def sync(descriptor: int) -> None:
        synced_paths.append(os.fsencode(Path(f"/proc/self/fd/{descriptor}").readlink()))

    path = write(tmp_path, "a.jpg", draw_jpeg())
    with open_runner(sync=sync) as runner:
        result, messages = run(runner, path)
    assert isinstance(result, Completed)
    assert messages
    assert synced_paths == [os.fsencode(path)]


@pytest.mark.parametrize("retried", [False, True])
def test_a_file_is_decoded_while_the_disk_is_busy_unless_it_may_kill_its_process(
    tmp_path: Path, retried: bool
) -> None:
    path = write(tmp_path, "a.jpg", draw_jpeg())
    ours, theirs = Pipe()
    opened_meanwhile: list[bool] = []

    def sync(descriptor: int) -> None:
        opened_meanwhile.append(ours.poll(0.05 if retried else PATIENCE_SECONDS))

    with ours, theirs, open_runner(sync=sync) as runner:
        result = runner.run(Job(1, path, retried), theirs)
    assert isinstance(result, Completed)
    assert opened_meanwhile == [not retried]


@pytest.mark.parametrize(
    ("number", "is_completed"), [(errno.EINVAL, True), (errno.EROFS, True), (errno.EIO, False)]
)
def test_a_file_that_cannot_be_made_durable_is_classified_unless_its_disk_fails(
    tmp_path: Path, number: int, is_completed: bool
) -> None:
    def sync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with open_runner(sync=sync) as runner:
        result, _ = run(runner, write(tmp_path, "a.jpg", draw_jpeg()))
    assert isinstance(result, Completed) is is_completed


def test_a_file_that_has_vanished_is_gone(runner: JobRunner[PhotoResult], tmp_path: Path) -> None:
    assert run(runner, tmp_path / "none.jpg") == (Gone(1), [])
    file = write(tmp_path, "file", b"x")
    assert run(runner, file / "below.jpg") == (Gone(1), [])


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "socket", "folder", "loop", "device"])
def test_what_is_no_regular_file_is_never_read(
    runner: JobRunner[PhotoResult], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a.jpg"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "FIFO":
                os.mkfifo(path)
            case "symbolic link":
                path.symlink_to(write(tmp_path, "real.jpg", draw_jpeg()))
            case "socket":
                listener.bind(str(path))
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path)
            case "device":
                path = Path("/dev/zero")
        assert run(runner, path) == (Gone(1), [])


def test_a_file_that_the_system_refuses_is_unreadable(
    runner: JobRunner[PhotoResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("worker.pool.process.os.open", refuse)  # root may read everything
    result, messages = run(runner, write(tmp_path, "a.jpg", draw_jpeg()))
    assert result == Refused(1, None, Reason.UNREADABLE, "it cannot be read: Permission denied")
    assert messages == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ESTALE], ids=errno.errorcode.get)
def test_a_cause_that_says_nothing_of_the_file_only_delays_it(
    runner: JobRunner[PhotoResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("worker.pool.process.os.open", refuse)
    result, _ = run(runner, tmp_path / "a.jpg")
    assert isinstance(result, Delayed)


def test_a_file_that_another_program_has_leased_for_writing_is_delayed(
    runner: JobRunner[PhotoResult], tmp_path: Path
) -> None:
    path = write(tmp_path, "a.jpg", draw_jpeg())
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by it the kernel asks the holder for the lease
    try:
        with path.open("r+b") as leased:
            fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            result, _ = run(runner, path)
    finally:
        signal.signal(signal.SIGIO, before)
    assert isinstance(result, Delayed)


def test_a_file_of_too_many_bytes_is_refused_with_its_hash_and_never_decoded(
    runner: JobRunner[PhotoResult], tmp_path: Path
) -> None:
    content = encode_image(draw_photo(size=(800, 600)), "BMP")
    assert len(content) > LIMITS.max_file_bytes
    result, _ = run(runner, write(tmp_path, "a.bmp", content))
    assert isinstance(result, Refused)
    assert result.reason is Reason.TOO_MANY_BYTES
    assert result.file is not None
    assert result.file.sha256 == sha256(content)
