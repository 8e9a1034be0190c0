"""What is written is durable in the right order: a power cut can only undo the newest of it."""

from contextlib import closing
from pathlib import Path
from typing import Any

from tests.drawing import draw_jpeg
from tests.driver import MovableClock, drive
from tests.faults.observed_worker import open_observed_worker
from tests.home import Home
from worker.config import load_config
from worker.store import open_store
from worker.store.journal import choose_journal_mode
from worker.store.sqlite import sqlite3


def record_steps(home: Home) -> list[str]:
    home.drop("a.jpg", draw_jpeg(1))
    steps: list[str] = []
    later = MovableClock()
    with drive(
        open_observed_worker(load_config(home.config), steps.append, clock=later.clock), later
    ) as hand:
        hand.step_until(home.is_all_filed)
    return steps


def test_a_photo_is_never_moved_before_its_decision_is_durable(home: Home) -> None:
    steps = record_steps(home)
    assert steps.index("after decide commit") < steps.index("before link")


def test_each_name_is_durable_before_the_next_step_relies_on_it(home: Home) -> None:
    steps = [step.removeprefix("after ") for step in record_steps(home) if step.startswith("after ")]
    move = ["make folder", "sync root", "link", "sync destination", "hide", "unlink", "sync source"]
    assert steps == ["take-on commit", "submit", "collect", "decide commit", *move, "record commit"]


def test_the_database_names_the_destination_when_the_file_gets_there(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    states: list[tuple[str, bool]] = []

    def read_state(step: str) -> None:
        if step == "after link":
            (row,) = home.read_rows()
            states.append((row.status, (home.root / row.path).exists()))

    later = MovableClock()
    with drive(open_observed_worker(load_config(home.config), read_state, clock=later.clock), later) as hand:
        hand.step_until(home.is_all_filed)
    assert states == [("decided", True)]


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "moodsort.db"
    store = open_store(f"sqlite:///{file}")
    driver: Any = store._connection.connection.driver_connection
    full = 2  # sqlite.org/pragma.html#pragma_synchronous
    assert driver.execute("PRAGMA synchronous").fetchone()[0] >= full
    assert driver.execute("PRAGMA journal_mode").fetchone() == (choose_journal_mode(file),)
    store.close()


def test_a_worker_leaves_a_sound_database_with_no_journal(home: Home) -> None:
    home.drop_photos(3)
    home.run_once()
    assert [path.name for path in home.folder.glob("moodsort.db-*")] == []
    with closing(sqlite3.connect(home.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
