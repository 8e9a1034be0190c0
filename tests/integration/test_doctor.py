"""The doctor on a real folder, with the real bundle and a real child process."""

import fcntl
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from worker.cli.doctor import doctor
from worker.config import load_config


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()  # pytest's own are not to be closed by what the command sets up
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    return path


def run_doctor(config: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    result = CliRunner().invoke(
        doctor,
        ["--config", str(config), "--format", "json"],
        env={"MOODSORT_DATABASE_URL": None},
        standalone_mode=False,
        catch_exceptions=False,
    )
    rows_by_check: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(result.output):
        rows_by_check.setdefault(row["check"], []).append(row)
    return result.return_value, rows_by_check


def test_a_fresh_configuration_passes_and_nothing_is_made(config: Path) -> None:
    status, rows_by_check = run_doctor(config)
    assert status == 0
    assert not [row for rows in rows_by_check.values() for row in rows if row["state"] == "fail"]
    checks = {"configuration", "folders", "labels", "links", "space", "images", "model", "database"}
    assert checks <= rows_by_check.keys()
    assert list(config.parent.iterdir()) == [config]


def test_every_mistake_of_a_configuration_is_a_line(config: Path) -> None:
    config.write_text("[folder]\n[inbox]\nsettle_seconds = 'soon'\n")
    status, rows_by_check = run_doctor(config)
    assert (status, list(rows_by_check)) == (1, ["configuration"])
    assert [row["state"] for row in rows_by_check["configuration"]] == ["fail", "fail"]
    assert rows_by_check["configuration"][0]["remedy"] == "did you mean folders?"


def test_a_bundle_that_is_not_there_does_not_keep_the_rest_from_being_checked(config: Path) -> None:
    config.write_text('[model]\nbundle = "elsewhere"\n')
    status, rows_by_check = run_doctor(config)
    assert status == 1
    assert rows_by_check["model"][0]["state"] == "fail"
    assert rows_by_check["database"][0]["state"] == "ok"


def test_a_running_worker_is_reported(config: Path) -> None:
    path, *_ = load_config(config).lock_files.values()
    path.parent.mkdir()
    with path.open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, rows_by_check = run_doctor(config)
    assert (status, rows_by_check["worker"][0]["found"]) == (0, "running as process 4711")


def test_a_table_is_for_people(config: Path) -> None:
    result = CliRunner().invoke(doctor, ["--config", str(config)], env={"COLUMNS": "100"})
    heading = next(line for line in result.output.splitlines() if line.strip())
    assert heading.split() == ["check", "state", "found", "remedy"]
