"""A worker is killed at each of its steps; the next one makes good, and every promise holds."""

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

from tests.drawing import photo_bytes
from tests.home import PROJECT, Home, wait_until

KILLED = -signal.SIGKILL

COMMITS = ["take-on commit", "decide commit", "record commit"]
MOVES = ["make folder", "link", "sync destination", "unlink", "sync source"]
COPIES = ["write", "fsync", "link hidden", "unlink hidden", "unlink"]


def around(*steps: str) -> list[str]:
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


class Workers:
    """Workers in processes of their own: some kill themselves, some are left in peace."""

    def __init__(self, server: "subprocess.Popen[str]", said: Path) -> None:
        self._server = server
        self._said = said

    def crash(self, home: Home, step: str, passings: int = 1, file_system: str = "") -> int:
        """Run a worker that kills itself at a step; return its exit status."""
        return self._run(home, step, passings, file_system)

    def finish(self, home: Home) -> None:
        """Run a worker that files what there is."""
        assert self._run(home, "", 0, "") == 0, self._said.read_text()

    def _run(self, home: Home, *how: str | int) -> int:
        assert self._server.stdin
        assert self._server.stdout
        self._said.write_bytes(b"")
        self._server.stdin.write(json.dumps([str(home.config), *how]) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    said = tmp_path_factory.mktemp("workers") / "said"
    with (
        said.open("a") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crashing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=PROJECT,
            env={key: value for key, value in os.environ.items() if not key.startswith("MOODSORT_")},
        ) as server,
    ):
        yield Workers(server, said)


@pytest.fixture
def filled(home: Home) -> Home:
    return fill(home)


def fill(home: Home) -> Home:
    """Drop a photo, one in a folder, one whose name is taken, and one that is damaged."""
    home.drop("a.jpg", photo_bytes(1))
    home.drop("trip/b.jpg", photo_bytes(2))
    home.drop("c.jpg", photo_bytes(3)[:-200])
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/d.jpg", photo_bytes(5))
    home.drop("d.jpg", photo_bytes(4))
    return home


@pytest.fixture
def elsewhere(filled: Home) -> Iterator[Home]:
    """Have the label folders and the quarantine on another file system than the inbox."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == filled.root.stat().st_dev:
        pytest.skip("there is no second file system here")
    home = filled
    folder = other / f"moodsort-{os.getpid()}-{home.folder.name}"
    folder.mkdir()
    try:
        for name in ("happy", "sad", "quarantine"):
            here = home.root / name
            there = folder / name
            there.mkdir()
            for file in here.iterdir() if here.exists() else ():
                (there / file.name).write_bytes(file.read_bytes())
                file.unlink()
            if here.exists():
                here.rmdir()
            here.symlink_to(there)
        yield home
    finally:
        subprocess.run(["rm", "-r", folder], check=True)


@pytest.mark.parametrize("step", [*around("submit", *COMMITS, *MOVES), "after judged"])
def test_every_promise_holds_after_a_kill(filled: Home, workers: Workers, step: str) -> None:
    in_the_middle = 2 if step.endswith("link") else 1
    assert workers.crash(filled, step, in_the_middle) == KILLED
    workers.finish(filled)
    filled.check_promises()


@pytest.mark.parametrize("step", around(*COPIES))
def test_every_promise_holds_after_a_kill_on_the_way_to_another_file_system(
    elsewhere: Home, workers: Workers, step: str
) -> None:
    assert workers.crash(elsewhere, step, 2) == KILLED
    workers.finish(elsewhere)
    elsewhere.check_promises()


@pytest.mark.parametrize("step", ["before rename", "after rename", "before sync source"])
def test_every_promise_holds_after_a_kill_where_links_are_refused(
    filled: Home, workers: Workers, step: str
) -> None:
    assert workers.crash(filled, step, file_system="without-links") == KILLED
    workers.finish(filled)
    filled.check_promises()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("after take-on commit", "after decide commit"),
        ("after link", "before unlink"),
        ("after unlink", "before record commit"),
    ],
)
def test_every_promise_holds_after_a_kill_during_the_recovery_from_a_kill(
    filled: Home, workers: Workers, first: str, second: str
) -> None:
    assert workers.crash(filled, first, 2 if first.endswith("link") else 1) == KILLED
    assert workers.crash(filled, second) == KILLED
    workers.finish(filled)
    filled.check_promises()


@given(first=st.integers(1, 45), second=st.integers(1, 25))
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_promise_holds_after_two_kills_wherever_they_fall(
    home_maker: "HomeMaker", workers: Workers, first: int, second: int
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


def test_a_real_worker_process_takes_up_what_a_killed_one_left(home: Home) -> None:
    home.drop_photos(100)
    with home.watch() as running:
        wait_until(lambda: running.find_events("filed"))
        assert running.end(signal.SIGKILL) == KILLED
    home.run_once()
    home.check_promises()


def test_a_new_file_with_the_name_of_one_in_hand_gets_its_own_row(home: Home, workers: Workers) -> None:
    home.drop("a.jpg", photo_bytes(1))
    assert workers.crash(home, "after unlink") == KILLED
    (home.inbox / "a.jpg").write_bytes(photo_bytes(2))
    workers.finish(home)
    rows = home.read_rows()
    assert [row.status for row in rows] == ["filed", "filed"]
    assert [home.read_files()[row.path] for row in rows] == [photo_bytes(1), photo_bytes(2)]
