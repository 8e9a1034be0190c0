"""Child processes that die, hang and run wild: what becomes of the photos, and of the processes."""

import errno
import hashlib
import math
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path
from typing import Generic

import pytest

from tests.drawing import build_pixel_bomb, draw_jpeg
from tests.integration.child_tasks import DyingTask, HostileTask, UnfitTask, WordCount, WordCountTask
from tests.patience import scale
from tests.scene_bundle import make_scene_bundle
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.errors import BundleError, Reason
from worker.pool.batch import check_task, run_batch
from worker.pool.channel import ParentChannel, ProtocolViolation
from worker.pool.messages import MAX_BYTES
from worker.pool.pool import Pool
from worker.pool.prediction_task import PhotoResult, PredictionTask
from worker.pool.process_clock import START_SECONDS
from worker.pool.protocol import (
    Completed,
    Delayed,
    Gone,
    Hashed,
    HashJob,
    Job,
    JobResult,
    Refused,
    Setup,
    SourceFile,
    T,
)
from worker.pool.spawn import Spawn, spawn_process

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
        if self.pool.next_deadline() > -math.inf:
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
        """Move the clock on, check by check, until a process counts as hung; return what comes of it."""
        processes = len(self.processes)
        results: list[JobResult[T]] = []
        while len(self.processes) == processes and not results:
            self.now = self.pool.next_deadline()
            results = self.pool.collect(self.now)
        return results

    def advance(self) -> list[JobResult[T]]:
        """Move the clock to the next try of a file or a process, unless one is at work."""
        wait(self.pool.connections, timeout=0.05)
        if not self.pool.connections or self.pool.room:
            deadline = self.pool.next_deadline()
            self.now = max(self.now, deadline if deadline < math.inf else self.now)
        return self.pool.collect(self.now)

    def kill_at_work(self) -> list[JobResult[T]]:
        """Kill the process as soon as it has files; return the results until then."""
        results: list[JobResult[T]] = []
        while self.pool.is_busy and (self.pool.room or not self.pool.is_ready):
            results += self.advance()
        self.processes[-1].kill()
        return results + self.collect_next()

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
    os.mkfifo(tmp_path / "fifo")
    paths = [
        write(tmp_path, "first", b"AWAIT"),
        *(write(tmp_path, str(words), b"word " * words) for words in range(1, 20)),
        tmp_path / "missing",
        write(tmp_path, "last", b"SIGNAL"),
    ]
    limits = replace(LIMITS, decode_seconds=PATIENCE_SECONDS)
    results = list(run_batch(WordCountTask(tmp_path / "fifo"), paths, limits, processes=2, batch_size=1))
    assert [result.key for result in results] == list(range(22))
    completed = [result for result in results if isinstance(result, Completed)]
    assert [counted.result.words for counted in completed] == [1, *range(1, 20), 1]
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
    assert ": KeyboardInterrupt (child_tasks.py:" in results[0].detail


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
    assert driver.now >= started + LIMITS.decode_seconds
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


def test_a_photo_whose_process_died_of_it_is_submitted_again_as_a_suspect(tmp_path: Path) -> None:
    with closing(Driver(PREDICTION_SETUP, spawn=spawn_dying)) as driver:
        results = driver.run(write(tmp_path, "a.jpg", draw_jpeg()))
    assert isinstance(results[0], Delayed)
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


def test_a_bundle_that_vanishes_while_a_process_loads_it_is_an_error_and_no_photos(tmp_path: Path) -> None:
    spawn = take_over_first("silence", tmp_path / "proof")
    with (
        closing(Driver(Setup(PredictionTask(tmp_path / "bundle"), LIMITS), spawn=spawn)) as driver,
        pytest.raises(BundleError, match=r"manifest\.json"),
    ):
        driver.make_ready()


def test_a_bundle_that_vanishes_after_the_start_costs_no_photo(tmp_path: Path) -> None:
    folder = make_scene_bundle(tmp_path / "bundle")
    with closing(Driver(Setup(PredictionTask(folder), LIMITS))) as driver:
        driver.make_ready()
        folder.rename(tmp_path / "moved")
        results = driver.run(*write_photos(tmp_path, 2))
    assert [type(result) for result in results.values()] == [Completed, Completed]


def test_waiting_for_a_process_ends_when_it_is_not_wanted_any_more() -> None:
    answers = iter([True, False])
    with closing(Driver(HOSTILE_SETUP, spawn=spawn_sleeping)) as driver:
        driver.pool.wait_ready(lambda: driver.now, lambda: next(answers))
        assert not driver.pool.is_ready


# Outcomes, kills and crashes


def test_a_result_is_there_before_the_rest_of_its_batch(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with closing(Driver(Setup(WordCountTask(tmp_path / "fifo"), LIMITS))) as driver:
        driver.make_ready()
        jobs = [Job(0, write(tmp_path, "a", b"one")), Job(1, write(tmp_path, "b", b"AWAIT"))]
        driver.pool.submit(jobs, driver.now)
        results: list[JobResult[WordCount]] = []
        while not results:
            results = driver.collect_next()
        assert [result.key for result in results] == [0]
        assert driver.pool.is_busy


def test_kills_from_outside_never_cost_a_good_photo_its_place(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    contents = [b"AWAIT", b"one", b"two words", b"AWAIT"]
    with closing(Driver(Setup(WordCountTask(fifo), LIMITS))) as driver, fifo.open("r+b", buffering=0) as file:
        driver.make_ready()
        jobs = [Job(key, write(tmp_path, str(key), content)) for key, content in enumerate(contents)]
        driver.pool.submit(jobs, driver.now)
        results: list[JobResult[WordCount]] = []
        for _ in range(4):
            results += driver.kill_at_work()
        file.write(b"to be awaited")
        while driver.pool.is_busy:
            results += driver.advance()
    assert sorted(result.key for result in results) == [0, 1, 2, 3]
    assert all(isinstance(result, Completed) for result in results)


def test_a_file_that_gets_its_process_killed_again_and_again_is_refused_in_the_end(
    driver: Driver[PhotoResult], tmp_path: Path
) -> None:
    driver.make_ready()
    driver.pool.submit([Job(0, write(tmp_path, "a", b"HANG for ever"))], driver.now)
    results: list[JobResult[PhotoResult]] = []
    kills = 0
    while not results:
        results = driver.kill_at_work()
        kills += 1
    (refused,) = results
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DECODER_CRASHED
    assert kills == 5


@pytest.mark.parametrize("word", ["SPIN", "HANG"])
def test_a_file_that_computes_or_sleeps_for_ever_delays_others_by_its_limit_alone(
    tmp_path: Path, word: str
) -> None:
    limits = replace(LIMITS, decode_seconds=0.5)
    paths = [write(tmp_path, "a", f"{word} for ever".encode()), *write_photos(tmp_path, 3)]
    refused, *completed = run_batch(HostileTask(BUILT_IN_BUNDLE), paths, limits, processes=1)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DECODE_TIMEOUT
    assert all(isinstance(result, Completed) for result in completed)


ATTACKS = (
    *("pickle", "garbage", "length", "endless", "foreign key", "no hash", "too early", "twice"),
    *("ready again", "no hash job", "no progress", "syncing at once", "syncing twice"),
    *("foreign label", "no number", "too wide", "nested", "wrong type", "review", "long detail"),
    *("failing twice", "gone", "stale at last", "closed"),
)


def take_over_first(attack: str, proof: Path) -> Spawn:
    """Return what starts a process that a file has taken over, and honest ones after it."""
    spawn_taken_over = spawn_script(Path(__file__).with_name("taken_over_process.py"), attack, proof)
    spawns = iter([spawn_taken_over, spawn_process, spawn_process])
    return lambda descriptor: next(spawns)(descriptor)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_process_sends_that_was_taken_over_ends_the_process_and_nothing_else(
    tmp_path: Path, attack: str
) -> None:
    proof = tmp_path / "proof"
    with closing(Driver(PREDICTION_SETUP, spawn=take_over_first(attack, proof))) as driver:
        results = driver.run(*write_photos(tmp_path, 2))
        first, *others = driver.processes
        assert first.returncode == -signal.SIGKILL
        assert all(process.returncode is None for process in others)
    assert not proof.exists()
    assert all(isinstance(result, Completed) for result in results.values())


def submit_beside_hash(driver: Driver[PhotoResult], folder: Path, size_bytes: int) -> None:
    """Give the process a large file, and a photo to work on meanwhile."""
    with (folder / "large").open("wb") as file:
        file.truncate(size_bytes)
    driver.make_ready()
    driver.pool.submit([Job(0, folder / "large"), Job(1, write(folder, "a.jpg", draw_jpeg()))], driver.now)


def test_a_photo_that_keeps_its_process_waiting_once_it_was_read_is_put_off_and_tried_alone(
    tmp_path: Path,
) -> None:
    taken_over = spawn_script(Path(__file__).with_name("taken_over_process.py"), "syncing for ever", "-")
    spawns = iter([taken_over, spawn_dying])  # which dies of every file that is no suspect
    with closing(Driver(PREDICTION_SETUP, spawn=lambda descriptor: next(spawns)(descriptor))) as driver:
        job = Job(0, write(tmp_path, "a.jpg", draw_jpeg()))
        driver.make_ready()
        driver.pool.submit([job], driver.now)
        driver.collect_next()
        (delayed,) = driver.expire()
        assert isinstance(delayed, Delayed)
        assert delayed.seconds == 60.0
        driver.make_ready()
        driver.pool.submit([job], driver.now)
        (again,) = driver.collect_next()
        assert isinstance(again, Delayed)
        assert len(driver.processes) == 2


def test_a_process_cannot_hash_more_of_a_file_than_there_is(tmp_path: Path) -> None:
    spawn = take_over_first("endless progress", tmp_path / "proof")
    with closing(Driver(PREDICTION_SETUP, spawn=spawn)) as driver:
        submit_beside_hash(driver, tmp_path, LIMITS.max_file_bytes + 1)
        results: list[JobResult[PhotoResult]] = []
        while len(results) < 2:
            results += driver.collect_next()
    assert {result.key: type(result) for result in results} == {0: Refused, 1: Completed}


def test_the_progress_of_a_hash_gives_the_photo_in_work_no_more_time(tmp_path: Path) -> None:
    spawn = take_over_first("slow progress", tmp_path / "proof")
    with closing(Driver(PREDICTION_SETUP, spawn=spawn)) as driver:
        submit_beside_hash(driver, tmp_path, 1 << 40)
        ends_at = driver.now + 3 * LIMITS.decode_seconds
        while len(driver.processes) == 1 and driver.now < ends_at:
            driver.collect_next()
            driver.now = min(driver.pool.next_deadline(), driver.now + 1.0)
        assert len(driver.processes) == 2


def test_a_result_that_is_nested_too_deeply_for_any_task_ends_its_process_alone(tmp_path: Path) -> None:
    spawn = take_over_first("nested", tmp_path / "proof")
    with closing(Driver(Setup(WordCountTask(), LIMITS), spawn=spawn)) as driver:
        results = driver.run(write(tmp_path, "a", b"one two"))
    assert isinstance(results[0], Completed)


def test_the_memory_of_the_parent_is_bounded_whatever_a_process_sends(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    channel = ParentChannel(ours)
    with theirs, closing(channel):
        theirs.setblocking(False)
        theirs.send(struct.pack("!I", MAX_BYTES + 1))
        with pytest.raises(ProtocolViolation):
            list(channel.receive())


# Starting again


def test_a_pool_that_was_proven_waits_and_tries_again_where_no_process_can_be_started(
    tmp_path: Path,
) -> None:
    has_room = True

    def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
        if not has_room:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return spawn_process(descriptor)

    with closing(Driver(Setup(WordCountTask(), LIMITS), spawn=spawn)) as driver:
        driver.make_ready()
        before = list_descriptors()
        has_room = False
        driver.processes[0].kill()
        driver.collect_next()
        for _ in range(10):
            driver.now = driver.pool.next_deadline()
            assert driver.pool.collect(driver.now) == []
        assert len(list_descriptors()) == len(before) - 1
        has_room = True
        driver.now = driver.pool.next_deadline()
        driver.pool.collect(driver.now)
        assert isinstance(driver.run(write(tmp_path, "a", b"one"))[0], Completed)


def test_a_pool_that_was_proven_survives_many_deaths_in_a_second(tmp_path: Path) -> None:
    dying = spawn_script("-c", "raise SystemExit(7)")
    spawns = iter([spawn_process, *[dying] * 6, spawn_process])
    with closing(
        Driver(Setup(WordCountTask(), LIMITS), spawn=lambda descriptor: next(spawns)(descriptor))
    ) as driver:
        driver.make_ready()
        driver.processes[0].kill()
        driver.collect_next()
        while not driver.pool.is_ready:
            driver.advance()
        assert len(driver.processes) == 8


# Large files


def test_a_file_of_too_many_bytes_is_refused_with_its_hash_while_others_go_on(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(300_000_000)
    with closing(Driver(PREDICTION_SETUP)) as driver:
        driver.make_ready()
        paths = [large, *write_photos(tmp_path, 3)]
        driver.pool.submit([Job(key, path) for key, path in enumerate(paths)], driver.now)
        results: list[JobResult[PhotoResult]] = []
        is_alive = set()
        while driver.pool.is_busy:
            driver.now += 20.0
            results += driver.collect_next()
            is_alive.add(not driver.pool.is_stalled(driver.now))
    assert [result.key for result in results] == [1, 2, 3, 0]
    assert is_alive == {True}
    refused = results[-1]
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TOO_MANY_BYTES
    assert refused.file is not None
    with large.open("rb") as file:
        assert refused.file.sha256 == hashlib.file_digest(file, "sha256").hexdigest()


def test_files_are_hashed_in_processes_whatever_happens_to_these(tmp_path: Path) -> None:
    paths = [write(tmp_path, str(key), bytes(key)) for key in range(6)]
    with closing(Driver(Setup(WordCountTask(), LIMITS))) as driver:
        for key, path in enumerate([*paths, tmp_path / "missing"]):
            driver.pool.submit_hash(HashJob(key, path), driver.now)
        driver.make_ready()
        driver.processes[0].kill()
        hashes: dict[int, Hashed] = {}
        while len(hashes) < 7:
            driver.collect_next()
            hashes |= {result.key: result for result in driver.pool.collect_hashes()}
        assert not driver.pool.is_busy
    assert hashes.pop(6).outcome == Gone(6)
    for key, hashed in hashes.items():
        assert isinstance(hashed.outcome, SourceFile)
        assert hashed.outcome.sha256 == sha256(bytes(key))


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
