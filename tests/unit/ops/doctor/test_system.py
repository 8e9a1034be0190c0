"""The doctor's checks of the operating system."""

import resource
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from worker.config import Config, InboxConfig
from worker.ops.doctor.result import CheckState
from worker.ops.doctor.system import (
    check_events,
    check_open_files,
    check_worker,
    check_writers,
    count_folders,
)

PLENTY = {"max_user_watches": 65536, "max_user_instances": 128, "max_queued_events": 16384}


def run_check(
    polling: Literal["auto", "always", "never"] = "auto",
    is_remote: bool = False,
    folders: int = 1,
    **limits: int | None,
) -> list[tuple[str, CheckState, str]]:
    config = replace(Config(), inbox=InboxConfig(polling=polling))
    results = check_events(
        config,
        limit=(PLENTY | limits).__getitem__,
        is_remote=lambda _: is_remote,
        count=lambda _inbox, _recursive: folders,
    )
    return [(result.check, result.state, result.remedy) for result in results]


def test_a_local_inbox_within_the_limits_is_fine() -> None:
    assert run_check() == [("watching", CheckState.OK, ""), ("inotify", CheckState.OK, "")]


def test_an_inbox_on_the_network_is_polled() -> None:
    assert run_check(is_remote=True) == [("watching", CheckState.OK, "")]


def test_an_inbox_that_is_always_polled_needs_no_limits() -> None:
    assert run_check("always", max_user_watches=0) == [("watching", CheckState.OK, "")]


def test_never_polling_the_network_is_warned_of() -> None:
    assert run_check("never", is_remote=True)[0] == (
        "watching",
        CheckState.WARN,
        'set inbox.polling = "auto"',
    )


def test_more_folders_than_watches_are_warned_of_with_a_limit_that_is_enough() -> None:
    (_, state, remedy) = run_check(folders=9000, max_user_watches=8192)[1]
    assert state is CheckState.WARN
    assert remedy.startswith("sudo sysctl fs.inotify.max_user_watches=18000, ")


@pytest.mark.parametrize(("name", "value"), [("max_user_instances", 4), ("max_queued_events", 512)])
def test_low_limits_are_warned_of(name: str, value: int) -> None:
    (_, state, remedy) = run_check(**{name: value})[1]
    assert state is CheckState.WARN
    assert f"fs.inotify.{name}={PLENTY[name]}" in remedy


def test_a_system_without_inotify_is_fine() -> None:
    assert run_check(max_user_watches=None)[1] == ("inotify", CheckState.OK, "")


def test_folders_are_counted_as_deep_as_they_are_watched(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert count_folders(tmp_path, True) == 3
    assert count_folders(tmp_path, False) == 1
    assert count_folders(tmp_path / "gone", True) == 1


@pytest.mark.parametrize(
    ("allowed", "state"),
    [(1024, CheckState.OK), (resource.RLIM_INFINITY, CheckState.OK), (79, CheckState.WARN)],
)
def test_too_few_open_files_for_the_processes_are_warned_of(allowed: int, state: CheckState) -> None:
    (result,) = check_open_files(4, lambda: allowed)
    assert result.state is state


@pytest.mark.parametrize(
    ("process", "sentence"), [(None, "not running"), (4711, "running as process 4711"), (0, "running")]
)
def test_a_running_worker_is_reported_and_no_failure(process: int | None, sentence: str) -> None:
    (result,) = check_worker(Config(), lambda _: process)
    assert (result.state, result.found) == (CheckState.OK, sentence)


@pytest.mark.parametrize(
    ("capabilities", "words"),
    [
        (1 << 28, "of every local file"),
        ((1 << 28) - 1, "those of other users have to lie still"),
        (None, "not told"),
    ],
)
def test_it_is_said_of_which_files_the_kernel_knows_the_writers(capabilities: int | None, words: str) -> None:
    (result,) = check_writers(lambda: capabilities)
    assert result.state is CheckState.OK
    assert words in result.found
