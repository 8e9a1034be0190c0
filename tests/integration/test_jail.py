"""What a file can do that has taken its process over: nothing. And all formats still decode."""

import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg, draw_photo, encode_image
from tests.integration.trespass_task import Attempt, TrespassTask
from tests.patience import scale
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.inference.decode import FORMATS
from worker.pool.batch import check_task, run_batch
from worker.pool.jail import _RESTRICTIONS, Jail, enter_jail
from worker.pool.pool import Pool
from worker.pool.prediction_task import PredictionTask
from worker.pool.protocol import Completed, Job, JobResult, Setup, T, Task
from worker.pool.spawn import Spawn, make_environment
from worker.pool.system_calls import _CALLS, make_filter

PROJECT = Path(__file__).parents[2]

LIMITS = Limits()

FORBIDDEN = (
    *("read /etc/passwd", "read the photos", "write the database", "make a file"),
    *("make an unnamed file", "make a file in memory", "make a folder", "delete a file", "rename a file"),
    *("link a file", "truncate a file", "change permissions", "list a folder", "look at a file"),
    *("open a folder by openat2", "connect by TCP", "connect to a local socket", "listen"),
    *("make a pair of sockets", "fork", "exec", "start a process", "signal the parent", "signal itself"),
    *("trace the parent", "read the parent's memory", "raise its limits", "run data as code"),
    *("share memory", "share memory, validated", "grow a stack"),
    *("load a program for the kernel", "use io_uring", "mount", "become another user"),
)


@pytest.fixture(autouse=True)
def _children_can_import_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))


@pytest.fixture(scope="module", autouse=True)
def _jail_exists() -> None:
    jail = check_task(PredictionTask(BUILT_IN_BUNDLE), LIMITS)
    if jail.misses:
        pytest.skip("; ".join(jail.misses))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def attempt(tmp_path: Path, port: int, names: list[str]) -> dict[str, Attempt]:
    target = tmp_path / "moodsort.db"
    target.write_bytes(b"the log")
    files = [tmp_path / str(number) for number in range(len(names))]
    for file, name in zip(files, names, strict=True):
        file.write_text(name)
    results = run_batch(TrespassTask(target, port), files, LIMITS, processes=1)
    attempts: dict[str, Attempt] = {}
    for name, result in zip(names, results, strict=True):
        assert isinstance(result, Completed), result
        attempts[name] = result.result
    assert target.read_bytes() == b"the log"
    assert not (tmp_path / "new").exists()
    return attempts


def test_code_in_a_process_reaches_neither_files_nor_network_nor_other_processes(
    tmp_path: Path, listener: socket.socket
) -> None:
    attempts = attempt(tmp_path, listener.getsockname()[1], list(FORBIDDEN))
    outcomes = {name: tried.outcome for name, tried in attempts.items()}
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in ("EPERM", "EACCES")} == {}


def run_in(spawn: Spawn, task: Task[T], *paths: Path) -> tuple[Jail, list[JobResult[T]]]:
    """Run a task in one process, and return what it has said of its restrictions as well."""
    results: list[JobResult[T]] = []
    with closing(Pool(Setup(task, LIMITS), 1, 0.0, spawn)) as pool:
        pool.wait_ready(lambda: 0.0, lambda: True)
        pool.submit([Job(key, path) for key, path in enumerate(paths)], 0.0)
        while pool.is_busy:
            wait(pool.connections, timeout=scale(30))
            results += pool.collect(0.0)
        return pool.jail, results


@pytest.mark.parametrize("name", ["start a thread", "map memory of its own"])
def test_code_in_a_process_can_do_what_decoders_do(tmp_path: Path, name: str) -> None:
    assert attempt(tmp_path, 0, [name])[name].outcome == "done"


def test_code_in_a_process_cannot_write_to_the_log_of_the_parent(tmp_path: Path) -> None:
    order = tmp_path / "order"
    order.write_text("write everywhere")
    reader, writer = os.pipe()  # a process may lengthen no file as it is

    def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "worker.pool.process", str(descriptor)]
        return subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL, stderr=writer)

    with os.fdopen(reader, "rb") as log:
        with os.fdopen(writer, "wb"):
            _, (result,) = run_in(spawn, TrespassTask(tmp_path / "none", 0), order)
        assert log.read() == b""
    assert isinstance(result, Completed)
    assert result.result.outcome == "done"


def test_the_environment_of_a_process_holds_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODSORT_DATABASE_URL", "postgresql://ada:secret@host/log")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = attempt(tmp_path, 0, ["nothing"])["nothing"].environment
    assert "secret" not in str(environment)
    assert environment["PYTHONPATH"] == str(PROJECT)


def test_what_the_user_sets_for_the_allocator_wins() -> None:
    environment = make_environment({"MALLOC_TRIM_THRESHOLD_": "1", "LC_ALL": "C", "SSH_AUTH_SOCK": "/tmp/x"})
    assert environment["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert environment["LC_ALL"] == "C"
    assert "SSH_AUTH_SOCK" not in environment


def test_every_format_is_decoded_and_predicted_in_the_jail(tmp_path: Path) -> None:
    paths = []
    for number, format_name in enumerate(FORMATS):
        assert format_name is not None
        for side in (96, 1200):  # large ones are decoded by several threads
            paths.append(tmp_path / f"{side}.{format_name}")
            paths[-1].write_bytes(encode_image(draw_photo(number, size=(side, side)), format_name))
    paths.append(tmp_path / "lab.tif")
    paths[-1].write_bytes(encode_image(draw_photo().convert("LAB"), "TIFF"))
    results = list(run_batch(PredictionTask(BUILT_IN_BUNDLE), paths, LIMITS, processes=1))
    assert [type(result) for result in results] == [Completed] * len(paths)


def read_status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_process_has_no_rights_and_its_limits_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(draw_jpeg())
    command = [sys.executable, "-m", "tests.integration.pool_owner", str(tmp_path / "a.jpg")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as owner:
        try:
            assert owner.stdout is not None
            pid = int(owner.stdout.readline().split()[0])
            status = read_status(pid)
            limits = {
                name: resource.prlimit(pid, getattr(resource, name))
                for name in ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_DATA")
            }
            is_undumpable = Path(f"/proc/{pid}/environ").stat().st_uid == 0
        finally:
            owner.kill()
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert limits == {
        "RLIMIT_NOFILE": (32, 32),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_DATA": (LIMITS.memory_bytes, LIMITS.memory_bytes),
    }
    assert is_undumpable


# Systems that lack something

_WITHOUT = """
import errno, sys
from worker.pool import jail, process
def refuse():
    raise OSError(errno.ENOSYS, "Function not implemented")
for name in sys.argv[2:]:
    jail._RESTRICTIONS[name] = refuse
process.main()
"""


def run_without(names: tuple[str, ...], task: Task[T], *paths: Path) -> tuple[Jail, list[JobResult[T]]]:
    """Run a task where the system lacks some restrictions."""

    def spawn(descriptor: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", _WITHOUT, str(descriptor), *names]
        return subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL)

    return run_in(spawn, task, *paths)


def test_a_system_without_a_restriction_works_without_it_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "a.jpg"
    path.write_bytes(draw_jpeg())
    names = ("no capabilities", "Landlock", "seccomp")
    jail, (result,) = run_without(names, PredictionTask(BUILT_IN_BUNDLE), path)
    assert isinstance(result, Completed)
    assert jail.restrictions == ("own limits", "no tracers", "no new privileges")
    assert jail.misses == tuple(f"{name}: Function not implemented" for name in names)
    assert [vars(record).get("event") for record in caplog.records] == ["unconfined"]


@pytest.mark.parametrize(
    ("names", "error"), [(("Landlock",), "EPERM"), (("seccomp",), "EACCES")], ids=["seccomp", "Landlock"]
)
def test_the_file_system_is_out_of_reach_by_each_restriction_alone(
    tmp_path: Path, names: tuple[str, ...], error: str
) -> None:
    target = tmp_path / "moodsort.db"
    target.write_bytes(b"the log")
    attempts = ("read /etc/passwd", "write the database", "make a file", "list a folder")
    paths = [tmp_path / str(number) for number in range(len(attempts))]
    for path, attempt_name in zip(paths, attempts, strict=True):
        path.write_text(attempt_name)
    _, results = run_without(names, TrespassTask(target, 0), *paths)
    outcomes = [result.result.outcome for result in results if isinstance(result, Completed)]
    assert outcomes == [error] * len(attempts)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_a_filter_stays_inside_it(machine: str) -> None:
    code = make_filter(machine, 1234)
    count = len(code) // 8
    for index in range(count):
        instruction = code[8 * index : 8 * index + 8]
        operation, if_true, if_false = int.from_bytes(instruction[:2], sys.byteorder), *instruction[2:4]
        if operation & 7 == 5:  # BPF_JMP
            assert index + 1 + max(if_true, if_false) < count
    assert int.from_bytes(code[-8:-6], sys.byteorder) == 6  # BPF_RET


def test_the_calls_of_other_machines_are_not_guessed() -> None:
    with pytest.raises(OSError, match="riscv64"):
        make_filter("riscv64", 1)
    with pytest.raises(OSError, match="32-bit programs on x86_64"):
        make_filter("x86_64", 1, pointer_bytes=4)


def test_another_system_is_asked_for_nothing_that_only_linux_has(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in _RESTRICTIONS:
        monkeypatch.setitem(_RESTRICTIONS, name, partial(calls.append, name))
    monkeypatch.setattr(sys, "platform", "darwin")
    jail = enter_jail()
    assert calls == ["own limits"]
    assert jail.restrictions == ("own limits",)
    assert jail.misses[-1] == "seccomp: only Linux has it"
    assert len(jail.misses) == len(_RESTRICTIONS) - 1


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the header is that of x86-64")
def test_the_numbers_of_system_calls_are_those_of_the_kernels_header() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    numbers = {
        name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())
    }
    assert {name: calls[0] for name, calls in _CALLS.items()} == {name: numbers[name] for name in _CALLS}
