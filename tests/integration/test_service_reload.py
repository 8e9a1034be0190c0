"""SIGHUP: the configuration and the bundle are read again, and bad ones are refused."""

import json
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg
from tests.home import Home, WorkerProcess, wait_until
from worker.config import BUILT_IN_BUNDLE
from worker.store.sqlite import sqlite3


def reload(worker: WorkerProcess) -> None:
    worker.popen.send_signal(signal.SIGHUP)


def copy_bundle(home: Home, name: str) -> Path:
    """Copy the built-in bundle, under another name."""
    bundle = home.folder / name
    shutil.copytree(BUILT_IN_BUNDLE, bundle)
    manifest = bundle / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"name": name}))
    return bundle


def read_model(home: Home, name: str) -> str:
    with closing(sqlite3.connect(home.database)) as connection:
        (model,) = connection.execute("SELECT model FROM prediction_log WHERE name = ?", (name,)).fetchone()
    return str(model)


def test_a_reload_brings_a_new_bundle_inbox_and_min_confidence(home: Home) -> None:
    bundle = copy_bundle(home, "second")
    with home.watch() as worker:
        home.drop("before.jpg", draw_jpeg(1))
        wait_until(home.is_all_filed)
        home.configure(
            model={"bundle": str(bundle), "min_confidence": 1.0},
            folders={"inbox": "drop-here"},
            log={"level": "warning"},
        )
        reload(worker)
        wait_until((home.root / "drop-here").exists)
        home.inbox = home.root / "drop-here"
        home.drop("after.jpg", draw_jpeg(2))
        wait_until(home.is_all_filed)
        assert worker.end() == 0
        assert len(worker.find_events("filed")) == 1  # the second is below the new level
    assert [row.path.parts[0] for row in home.read_rows()][1] == "review"
    assert "second" in read_model(home, "after.jpg")
    assert "second" not in read_model(home, "before.jpg")


def break_the_configuration(home: Home) -> None:
    home.config.write_text("[model\n")


def break_the_bundle(home: Home) -> None:
    bundle = copy_bundle(home, "broken")
    weights = next(bundle.glob("*.tflite"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    home.configure(model={"bundle": str(bundle), "min_confidence": 1.0})


def name_a_newer_database(home: Home) -> None:
    newer = home.folder / "newer.db"
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    home.configure(database={"url": f"sqlite:///{newer}"}, model={"min_confidence": 1.0})


def name_a_server_that_is_not_there(home: Home) -> None:
    url = f"postgresql://nobody@/nothing?host={home.folder}"
    home.configure(database={"url": url}, model={"min_confidence": 1.0})


@pytest.mark.parametrize(
    "spoil",
    [break_the_configuration, break_the_bundle, name_a_newer_database, name_a_server_that_is_not_there],
)
def test_a_bad_reload_is_refused_in_one_line_and_the_worker_goes_on(
    home: Home, spoil: Callable[[Home], None]
) -> None:
    with home.watch() as worker:
        spoil(home)
        reload(worker)
        wait_until(lambda: worker.find_events("reload_refused"))
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(home.is_all_filed)
        assert worker.end() == 0
        assert len(worker.find_events("reload_refused")) == 1
    assert home.read_rows()[0].folder != "review"
    home.check_promises()


def test_a_reload_says_in_one_line_what_is_new_and_is_no_second_start(home: Home) -> None:
    bundle = copy_bundle(home, "second")
    with home.watch() as worker:
        reload(worker)
        wait_until(lambda: len(worker.find_events("reloaded")) == 1)
        home.configure(model={"bundle": str(bundle)})
        reload(worker)
        wait_until(lambda: len(worker.find_events("reloaded")) == 2)
        assert worker.end() == 0
        first, second = worker.find_events("reloaded")
        assert first["message"] == "the configuration was read again"
        assert second["message"] == f"now using {second['model']}"
        assert second["model"].startswith("second@")
        assert len(worker.find_events("ready")) == 1


def test_a_reload_loses_no_photo_that_is_in_hand(home: Home) -> None:
    with home.watch() as worker:
        home.drop_photos(60)
        reload(worker)
        wait_until(lambda: worker.find_events("reloaded"))
        wait_until(home.is_all_filed)
        assert worker.end() == 0
    home.check_promises()


def test_a_reload_while_the_database_is_locked_is_not_forgotten(home: Home) -> None:
    with home.watch() as worker:
        with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            home.drop("a.jpg", draw_jpeg(1))
            wait_until(lambda: worker.find_events("locked"))
            home.database_url = f"sqlite:///{home.folder / 'other.db'}"
            home.configure()
            reload(worker)
            wait_until(home.is_all_filed)
        assert worker.end() == 0
    home.check_promises()
