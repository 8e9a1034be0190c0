"""Classifier processes that die, hang and run wild: what becomes of the photos, and of the processes."""

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
from multiprocessing.connection import Pipe, wait
from pathlib import Path

import pytest

from tests.drawing import draw_photo, encoded, photo_bytes, pixel_bomb
from tests.scene_bundle import make_scene_bundle
from worker.config import BUILT_IN_BUNDLE
from worker.errors import BundleError, Reason
from worker.inference.bundle import load_bundle
from worker.inference.predictor import Predictor
from worker.pool.pool import START_SECONDS, Pool, spawn_process
from worker.pool.process import Reader
from worker.pool.protocol import Delayed, Gone, Job, Judged, Opened, Outcome, Refused, Setup

SETUP = Setup(
    bundle_folder=BUILT_IN_BUNDLE,
    max_file_bytes=1_000_000,
    max_pixels=10_000_000,
    decode_seconds=1.0,
    memory_bytes=1 << 30,
)
PATIENCE_SECONDS = 30.0

Spawn = Callable[[int], "subprocess.Popen[bytes]"]


def spawn_script(*arguments: str | Path) -> Spawn:
    def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, *map(str, arguments), str(descriptor)],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return spawn


spawn_hostile = spawn_script(Path(__file__).with_name("hostile_decoder.py"))
spawn_dying = spawn_script(Path(__file__).with_name("dying_process.py"))


class Driver:
    """A pool with a clock that stands still until it is told to go on."""

    def __init__(self, setup: Setup = SETUP, size: int = 1, spawn: Spawn = spawn_hostile) -> None:
        self.now = 1000.0
        self.started: list[subprocess.Popen[bytes]] = []
        self._spawn = spawn
        self.pool = Pool(setup, size, self.now, self._spawned)

    def _spawned(self, descriptor: int) -> "subprocess.Popen[bytes]":
        self.started.append(self._spawn(descriptor))
        return self.started[-1]

    def turn(self) -> list[Outcome]:
        """Wait for news, and take it in."""
        assert wait(self.pool.connections, timeout=PATIENCE_SECONDS), "nothing is heard of any process"
        return self.pool.collect(self.now)

    def make_ready(self) -> None:
        while not self.pool.room:
            self.turn()

    def predict(self, *paths: Path) -> dict[int, Outcome]:
        """Judge the files as one batch; the keys are their places in it."""
        self.make_ready()
        self.pool.submit([Job(key, path) for key, path in enumerate(paths)], self.now)
        found: dict[int, Outcome] = {}
        while len(found) < len(paths):
            found |= {outcome.key: outcome for outcome in self.turn()}
        assert not self.pool.is_busy
        return found

    def expire(self) -> list[Outcome]:
        """Let the time come at which a silent process counts as hung."""
        self.now = self.pool.next_deadline()
        return self.pool.collect(self.now)

    def close(self) -> None:
        self.pool.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    with closing(Driver()) as driver:
        yield driver


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# The plain way


def test_a_batch_is_judged_and_each_outcome_names_what_was_read(tmp_path: Path) -> None:
    photos = [photo_bytes(seed) for seed in range(3)]
    paths = [write(tmp_path, f"{number}.jpg", photo) for number, photo in enumerate(photos)]
    with closing(Driver(spawn=spawn_process)) as driver:
        found = driver.predict(*paths, write(tmp_path, "text.jpg", b"Dear diary"))
    for number, photo in enumerate(photos):
        outcome = found[number]
        assert isinstance(outcome, Judged)
        assert outcome.file.sha256 == sha256(photo)
        assert outcome.file.identity.inode == paths[number].stat().st_ino
        assert (outcome.width, outcome.height) == (96, 64)
        assert set(outcome.verdict.scores) == {"happy", "sad"}
        assert outcome.verdict.confidence == outcome.verdict.scores[outcome.verdict.label]
    refused = found[3]
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.NOT_AN_IMAGE


def test_batches_go_to_every_free_process(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jpg", photo_bytes())
    with closing(Driver(size=2)) as driver:
        while driver.pool.room < 2:
            driver.turn()
        driver.pool.submit([Job(1, path)], driver.now)
        assert driver.pool.room == 1
        driver.pool.submit([Job(2, path)], driver.now)
        assert driver.pool.room == 0
        found: list[Outcome] = []
        while driver.pool.is_busy:
            found += driver.turn()
        assert sorted(outcome.key for outcome in found) == [1, 2]


# What a file does to its decoder


@pytest.mark.parametrize(
    ("word", "told"),
    [("SEGFAULT", "signal 11 (SIGSEGV)"), ("LEAVE", "exit status 3"), ("HOG", "exit status 1")],
)
def test_a_killer_is_refused_and_its_batch_mates_are_judged(
    driver: Driver, tmp_path: Path, word: str, told: str
) -> None:
    killer = f"{word} now".encode()
    paths = [write(tmp_path, f"{number}.jpg", photo_bytes(number)) for number in range(4)]
    paths[1] = write(tmp_path, "killer.jpg", killer)

    found = driver.predict(*paths)

    assert [type(found[key]) for key in range(4)] == [Judged, Refused, Judged, Judged]
    refused = found[1]
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DECODER_CRASHED
    assert told in refused.detail
    assert refused.file is not None
    assert refused.file.sha256 == sha256(killer)
    assert len(driver.started) == 3, "two were killed, and no mate had to pay for it"


def test_two_killers_in_a_batch_are_both_refused_and_their_mates_judged(
    driver: Driver, tmp_path: Path
) -> None:
    paths = [write(tmp_path, f"{number}.jpg", photo_bytes(number)) for number in range(4)]
    paths[0] = write(tmp_path, "one.jpg", b"SEGFAULT one")
    paths[2] = write(tmp_path, "two.jpg", b"LEAVE two")
    found = driver.predict(*paths)
    assert [type(found[key]) for key in range(4)] == [Refused, Judged, Refused, Judged]


def test_an_error_that_nobody_foresaw_is_the_files_and_not_the_workers(
    driver: Driver, tmp_path: Path
) -> None:
    found = driver.predict(write(tmp_path, "a.jpg", b"RAISE it"))
    assert isinstance(found[0], Refused)
    assert found[0].reason is Reason.DECODER_CRASHED


def test_a_file_that_hangs_its_decoder_is_refused_after_its_second_time_limit(
    driver: Driver, tmp_path: Path
) -> None:
    hanging = b"HANG for ever"
    driver.make_ready()
    driver.pool.submit([Job(5, write(tmp_path, "a.jpg", hanging))], driver.now)
    began = driver.now
    assert driver.turn() == [], "it has been opened, no more"
    assert driver.expire() == []
    assert driver.now == began + SETUP.decode_seconds
    while not driver.pool.is_ready:
        assert driver.turn() == []
    driver.turn()

    (refused,) = driver.expire()

    assert isinstance(refused, Refused)
    assert refused.reason is Reason.DECODE_TIMEOUT
    assert refused.file is not None
    assert refused.file.sha256 == sha256(hanging)


def test_one_slow_photo_does_not_use_up_the_time_of_the_next(driver: Driver, tmp_path: Path) -> None:
    driver.make_ready()
    paths = [write(tmp_path, f"{number}.jpg", photo_bytes(number)) for number in range(3)]
    driver.pool.submit([Job(key, path) for key, path in enumerate(paths)], driver.now)
    found: list[Outcome] = []
    while len(found) < 3:
        driver.now += SETUP.decode_seconds * 0.9
        found += driver.turn()
    assert all(isinstance(outcome, Judged) for outcome in found)
    assert len(driver.started) == 1


def test_a_photo_whose_process_died_is_given_out_as_retried(tmp_path: Path) -> None:
    with closing(Driver(spawn=spawn_dying)) as driver:
        found = driver.predict(tmp_path / "a.jpg")
    assert found == {0: Delayed(0, "retried")}
    assert len(driver.started) == 2


def test_a_process_that_is_stopped_is_replaced_and_its_photo_judged(driver: Driver, tmp_path: Path) -> None:
    driver.make_ready()
    driver.started[0].send_signal(signal.SIGSTOP)
    driver.pool.submit([Job(0, write(tmp_path, "a.jpg", photo_bytes()))], driver.now)
    assert driver.expire() == []
    found: list[Outcome] = []
    while not found:
        found = driver.turn()
    assert isinstance(found[0], Judged)
    assert driver.started[0].returncode == -signal.SIGKILL


def test_an_idle_process_that_dies_is_replaced(driver: Driver, tmp_path: Path) -> None:
    driver.make_ready()
    driver.started[0].kill()
    driver.started[0].wait()
    assert isinstance(driver.predict(write(tmp_path, "a.jpg", photo_bytes()))[0], Judged)


def test_a_picture_beyond_the_memory_limit_is_refused_for_its_pixels(tmp_path: Path) -> None:
    setup = replace(SETUP, max_pixels=1 << 40, memory_bytes=1 << 29, decode_seconds=60)
    with closing(Driver(setup, spawn=spawn_process)) as driver:
        found = driver.predict(write(tmp_path, "a.png", pixel_bomb(14_000)))
    assert isinstance(found[0], Refused)
    assert found[0].reason is Reason.TOO_MANY_PIXELS
    assert "limits.memory_bytes" in found[0].detail


# Starting


def test_processes_that_do_not_start_are_given_up_after_three() -> None:
    with closing(Driver(spawn=spawn_script("-c", "raise SystemExit(7)"))) as driver:
        with pytest.raises(BundleError, match=r"do not start: the decoder ended with exit status 7"):
            driver.make_ready()
        assert len(driver.started) == 3


def test_a_process_that_never_gets_ready_is_replaced() -> None:
    with closing(Driver(spawn=spawn_script("-c", "import time; time.sleep(3600)"))) as driver:
        driver.expire()
        assert driver.now == 1000.0 + START_SECONDS
        assert len(driver.started) == 2
        assert not driver.pool.is_ready


def test_a_bundle_that_fails_its_test_is_told_in_its_own_words(tmp_path: Path) -> None:
    folder = make_scene_bundle(tmp_path / "bundle")
    (folder / "reader.tflite").write_bytes(b"spoilt")
    with (
        closing(Driver(replace(SETUP, bundle_folder=folder), spawn=spawn_process)) as driver,
        pytest.raises(BundleError, match=r"reader\.tflite: its SHA-256 is not the manifest's"),
    ):
        driver.make_ready()


def test_waiting_for_a_process_ends_when_it_is_not_wanted_any_more() -> None:
    wanted = iter([True, False])
    with closing(Driver(spawn=spawn_script("-c", "import time; time.sleep(3600)"))) as driver:
        driver.pool.wait_ready(lambda: driver.now, lambda: next(wanted))
        assert not driver.pool.is_ready


# Ending


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_nothing_is_left_of_a_pool_that_was_closed(tmp_path: Path) -> None:
    before = descriptors()
    driver = Driver(size=2)
    driver.make_ready()
    driver.pool.submit([Job(0, write(tmp_path, "a.jpg", b"HANG now"))], driver.now)
    driver.turn()

    driver.close()

    assert all(popen.returncode is not None for popen in driver.started)
    assert descriptors() == before
    driver.close()


def test_nothing_is_left_of_processes_that_were_replaced(driver: Driver, tmp_path: Path) -> None:
    driver.make_ready()
    before = descriptors()
    driver.predict(write(tmp_path, "a.jpg", b"LEAVE now"))
    driver.make_ready()
    assert len(descriptors()) == len(before)
    assert [popen.returncode for popen in driver.started] == [3, 3, None]


@pytest.mark.parametrize("content", [photo_bytes(), b"HANG now"], ids=["idle", "decoding"])
def test_classifier_processes_end_when_their_worker_is_killed(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, "a.jpg", content)
    command = [sys.executable, "-m", "tests.integration.pool_owner", str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as owner:
        try:
            assert owner.stdout is not None
            pids = [int(word) for word in owner.stdout.readline().split()]
            watched = [os.pidfd_open(pid) for pid in pids]
        finally:
            owner.kill()
    assert len(watched) == 2
    try:
        for descriptor in watched:
            assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], "it outlives its worker"
    finally:
        for descriptor in watched:
            os.close(descriptor)


# What is opened and what is not


@contextmanager
def reading(sync: Callable[[int], None] = os.fsync) -> Iterator[Reader]:
    bundle = load_bundle(BUILT_IN_BUNDLE)
    with closing(Reader(SETUP, Predictor(bundle), bundle.manifest.max_side, sync)) as reader:
        yield reader


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with reading() as reader:
        yield reader


def read(reader: Reader, path: Path) -> tuple[Outcome, list[object]]:
    """Read one file; return the outcome and what was said before it."""
    ours, theirs = Pipe()
    with ours, theirs:
        outcome = reader.outcome(Job(1, path), theirs)
        said = []
        while ours.poll():
            said.append(ours.recv())
    return outcome, said


def test_a_file_is_told_with_its_hash_before_it_is_decoded(reader: Reader, tmp_path: Path) -> None:
    outcome, said = read(reader, write(tmp_path, "a.jpg", photo_bytes()))
    assert isinstance(outcome, Judged)
    assert said == [Opened(1, outcome.file)]
    assert outcome.file.sha256 == sha256(photo_bytes())


def test_a_files_content_is_durable_before_its_outcome_is_told(tmp_path: Path) -> None:
    synced: list[bytes] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fsencode(Path(f"/proc/self/fd/{descriptor}").readlink()))

    path = write(tmp_path, "a.jpg", photo_bytes())
    with reading(sync=sync) as reader:
        outcome, said = read(reader, path)
    assert isinstance(outcome, Judged)
    assert said
    assert synced == [os.fsencode(path)]


@pytest.mark.parametrize("retried", [False, True])
def test_a_file_is_decoded_while_the_disk_is_busy_unless_it_may_kill_its_process(
    tmp_path: Path, retried: bool
) -> None:
    path = write(tmp_path, "a.jpg", photo_bytes())
    ours, theirs = Pipe()
    said_meanwhile: list[bool] = []

    def sync(descriptor: int) -> None:
        said_meanwhile.append(ours.poll(0.05 if retried else PATIENCE_SECONDS))

    with ours, theirs, reading(sync=sync) as reader:
        outcome = reader.outcome(Job(1, path, retried), theirs)
    assert isinstance(outcome, Judged)
    assert said_meanwhile == [not retried]


@pytest.mark.parametrize(
    ("number", "judged"), [(errno.EINVAL, True), (errno.EROFS, True), (errno.EIO, False)]
)
def test_a_file_that_cannot_be_made_durable_is_judged_unless_its_disk_fails(
    tmp_path: Path, number: int, judged: bool
) -> None:
    def sync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with reading(sync=sync) as reader:
        outcome, _ = read(reader, write(tmp_path, "a.jpg", photo_bytes()))
    assert isinstance(outcome, Judged) is judged


def test_a_file_that_has_vanished_is_gone(reader: Reader, tmp_path: Path) -> None:
    assert read(reader, tmp_path / "none.jpg") == (Gone(1), [])
    file = write(tmp_path, "file", b"x")
    assert read(reader, file / "below.jpg") == (Gone(1), [])


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "socket", "folder", "loop", "device"])
def test_what_is_no_regular_file_is_never_read(reader: Reader, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "FIFO":
                os.mkfifo(path)
            case "symbolic link":
                path.symlink_to(write(tmp_path, "real.jpg", photo_bytes()))
            case "socket":
                listener.bind(str(path))
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path)
            case "device":
                path = Path("/dev/zero")
        assert read(reader, path) == (Gone(1), [])


def test_a_file_that_the_system_refuses_is_unreadable(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("worker.pool.process.os.open", refuse)  # root may read everything
    outcome, said = read(reader, write(tmp_path, "a.jpg", photo_bytes()))
    assert outcome == Refused(1, None, Reason.UNREADABLE, "it cannot be read: Permission denied")
    assert said == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ESTALE], ids=errno.errorcode.get)
def test_a_cause_that_says_nothing_of_the_file_only_delays_it(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("worker.pool.process.os.open", refuse)
    outcome, _ = read(reader, tmp_path / "a.jpg")
    assert isinstance(outcome, Delayed)


def test_a_file_that_another_program_has_leased_for_writing_is_delayed(
    reader: Reader, tmp_path: Path
) -> None:
    path = write(tmp_path, "a.jpg", photo_bytes())
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel tells the holder by it
    try:
        with path.open("r+b") as leased:
            fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            outcome, _ = read(reader, path)
    finally:
        signal.signal(signal.SIGIO, before)
    assert isinstance(outcome, Delayed)


def test_a_file_of_too_many_bytes_is_refused_with_its_hash_and_never_decoded(
    reader: Reader, tmp_path: Path
) -> None:
    content = encoded(draw_photo(size=(800, 600)), "BMP")
    assert len(content) > SETUP.max_file_bytes
    outcome, _ = read(reader, write(tmp_path, "a.bmp", content))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY_BYTES
    assert outcome.file is not None
    assert outcome.file.sha256 == sha256(content)
