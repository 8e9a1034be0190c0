"""A worker is killed at each of its steps; the next one finishes its work, and every promise holds."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.home import PROJECT, Home, wait_until
from worker.filing import FileOperations
from worker.tree import open_folder as open_folder_below

KILLED = -signal.SIGKILL

COMMITS = ["take-on commit", "decide commit", "record commit"]
MOVES = ["make folder", "link", "sync destination", "hide", "unlink", "sync source"]
COPIES = ["copy", "fsync", "complete copy", "hide", "unlink"]


def list_before_and_after(*steps: str) -> list[str]:
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


class WorkerProcesses:
    """Runs workers in processes of their own, of which some kill themselves."""

    def __init__(self, server: "subprocess.Popen[str]", stderr: Path) -> None:
        self._server = server
        self._stderr = stderr

    def crash(self, home: Home, step: str, passings: int = 1, file_system: str = "one") -> int:
        """Run a worker that kills itself at a step; return its exit status."""
        return self._run(home, step, passings, file_system)

    def finish(self, home: Home, file_system: str = "one") -> None:
        """Run a worker that files what is in the inbox."""
        assert self._run(home, "", 0, file_system) == 0, self._stderr.read_text()

    def _run(self, home: Home, *arguments: str | int) -> int:
        assert self._server.stdin
        assert self._server.stdout
        self._stderr.write_bytes(b"")
        self._server.stdin.write(json.dumps([str(home.config), *arguments]) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcesses]:
    stderr = tmp_path_factory.mktemp("workers") / "stderr"
    with (
        stderr.open("a") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crash_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=PROJECT,
            env={key: value for key, value in os.environ.items() if not key.startswith("MOODSORT_")},
        ) as server,
    ):
        yield WorkerProcesses(server, stderr)


@pytest.fixture
def home_with_photos(home: Home) -> Home:
    return fill(home)


def fill(home: Home) -> Home:
    """Drop a photo, one in a folder, one whose name is taken, and one that is damaged."""
    home.drop("a.jpg", draw_jpeg(1))
    home.drop("trip/b.jpg", draw_jpeg(2))
    home.drop("c.jpg", draw_jpeg(3)[:-200])
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/d.jpg", draw_jpeg(5))
    home.drop("d.jpg", draw_jpeg(4))
    return home


@pytest.mark.parametrize("step", [*list_before_and_after("submit", *COMMITS, *MOVES), "after collect"])
def test_every_promise_holds_after_a_kill(
    home_with_photos: Home, workers: WorkerProcesses, step: str
) -> None:
    passings = 2 if step.endswith("link") else 1
    assert workers.crash(home_with_photos, step, passings) == KILLED
    workers.finish(home_with_photos)
    home_with_photos.check_promises()


@pytest.mark.parametrize(
    ("file_system", "step"),
    [
        *(("two", step) for step in list_before_and_after(*COPIES, "link hidden", "unlink hidden")),
        *(("two without links", step) for step in list_before_and_after("complete copy", "unlink", "reveal")),
        *(
            ("without links", step)
            for step in [*list_before_and_after("hide", "reveal"), "before sync source"]
        ),
    ],
)
def test_every_promise_holds_after_a_kill_on_the_way_without_a_link(
    home_with_photos: Home, workers: WorkerProcesses, file_system: str, step: str
) -> None:
    assert workers.crash(home_with_photos, step, 2, file_system) == KILLED
    workers.finish(home_with_photos, file_system)
    home_with_photos.check_promises()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("after take-on commit", "after decide commit"),
        ("after link", "before unlink"),
        ("after unlink", "before record commit"),
    ],
)
def test_every_promise_holds_after_a_kill_during_the_recovery_from_a_kill(
    home_with_photos: Home, workers: WorkerProcesses, first: str, second: str
) -> None:
    assert workers.crash(home_with_photos, first, 2 if first.endswith("link") else 1) == KILLED
    assert workers.crash(home_with_photos, second) == KILLED
    workers.finish(home_with_photos)
    home_with_photos.check_promises()


@given(first=st.integers(1, 45), second=st.integers(1, 25))
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_promise_holds_after_two_kills_wherever_they_fall(
    home_maker: "HomeMaker", workers: WorkerProcesses, first: int, second: int
) -> None:
    home = fill(home_maker())
    assert {workers.crash(home, "any", first), workers.crash(home, "any", second)} <= {KILLED, 0}
    workers.finish(home)
    home.check_promises()


class HomeMaker:
    """Makes one home after another, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    def __call__(self) -> Home:
        return Home(self._folder / str(next(self._numbers)))


@pytest.fixture
def home_maker(tmp_path: Path) -> HomeMaker:
    return HomeMaker(tmp_path)


def test_a_real_worker_process_finishes_what_a_killed_one_left(home: Home) -> None:
    home.drop_photos(100)
    with home.watch() as running:
        wait_until(lambda: running.find_events("filed"))
        assert running.end(signal.SIGKILL) == KILLED
    home.run_once()
    home.check_promises()


def test_a_photo_that_was_leaving_when_the_log_was_lost_is_filed_all_the_same(
    home: Home, workers: WorkerProcesses
) -> None:
    home.drop("trip/a.jpg", draw_jpeg(1))
    assert workers.crash(home, "after hide", file_system="without links") == KILLED
    for file in home.folder.glob("moodsort.db*"):
        file.unlink()
    workers.finish(home)
    (row,) = home.read_rows()
    assert row.source == Path("inbox/trip/moodsort-1")
    assert list(home.read_files().values()) == [draw_jpeg(1)]


def test_a_new_file_with_the_name_of_one_in_hand_gets_its_own_row(
    home: Home, workers: WorkerProcesses
) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    assert workers.crash(home, "after unlink") == KILLED
    (home.inbox / "a.jpg").write_bytes(draw_jpeg(2))
    workers.finish(home)
    rows = home.read_rows()
    assert [row.status for row in rows] == ["filed", "filed"]
    assert [home.read_files()[row.path] for row in rows] == [draw_jpeg(1), draw_jpeg(2)]


@pytest.mark.parametrize("step", ["after link", "after hide", "after unlink", "before record commit"])
@pytest.mark.parametrize("file_system", ["one", "two"])
def test_the_same_name_with_the_same_content_that_comes_again_is_a_photo_of_its_own(
    home: Home, workers: WorkerProcesses, step: str, file_system: str
) -> None:
    step = step.replace("link", "link hidden") if file_system == "two" and step == "after link" else step
    home.drop("a.jpg", draw_jpeg(1))
    assert workers.crash(home, step, file_system=file_system) == KILLED
    again = home.inbox / "again.jpg"
    again.write_bytes(draw_jpeg(1))
    again.replace(home.inbox / "a.jpg")
    workers.finish(home, file_system)
    rows = home.read_rows()
    files = home.read_files()
    assert sorted(files) == sorted(row.path for row in rows)
    # A file that was still at its old name has been replaced by whoever dropped the second.
    assert list(files.values()) == [draw_jpeg(1)] * len(rows)
    assert {row.status for row in rows} == {"filed"}


def test_a_start_reads_no_photo_that_only_waits(home: Home, workers: WorkerProcesses) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    assert workers.crash(home, "after take-on commit") == KILLED
    with (home.inbox / "a.jpg").open("r+b") as file:
        file.truncate(1 << 42)  # 4 TB, of which nothing is on the disk: to read it takes an hour
    with open_driver(home) as hand:
        assert hand.worker.in_hand == 1


def test_what_cannot_be_resumed_is_tried_again_at_the_next_rescan(
    home: Home, workers: WorkerProcesses
) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    assert workers.crash(home, "after decide commit") == KILLED
    is_refused = True

    def open_folder(root: int, path: Path) -> int:
        if is_refused and path.parts[:1] in (("happy",), ("sad",)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))
        return open_folder_below(root, path)

    with open_driver(home, FileOperations(open_folder=open_folder)) as hand:
        hand.step_until_idle()
        assert home.count_statuses() == {"decided": 1}
        is_refused = False
        hand.time.ahead += 31
        hand.step_until(home.is_all_filed)
    home.check_promises()
