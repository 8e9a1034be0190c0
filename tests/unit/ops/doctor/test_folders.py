"""The doctor's checks of the folders."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.config import Folders
from worker.filing.operations import FileOperations
from worker.ops.doctor.folders import (
    Space,
    check_folders,
    check_labels,
    check_moves,
    check_space,
    check_symbolic_links,
)
from worker.ops.doctor.result import CheckResult, CheckState

GIB = 2**30

CONFIG = Path("config.toml")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path


def make_failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_missing_folders_are_fine_where_they_can_be_made(root: Path) -> None:
    folders = {"root": root, "inbox": root / "inbox", "happy": root / "happy"}
    assert list(check_folders(folders, CONFIG)) == [
        CheckResult("folders", CheckState.OK, "root, inbox can be written; happy will be made")
    ]


def test_checking_folders_leaves_nothing_behind(root: Path) -> None:
    list(check_folders({"root": root, "happy": root / "happy"}, CONFIG))
    list(check_moves({"root": root, "inbox": root / "inbox"}, root / "inbox"))
    assert [path.name for path in root.rglob("*")] == ["inbox"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "give {} to the user who runs the worker (chown, chmod)"),
        (errno.EROFS, "mount its file system for writing"),
        (errno.ENOSPC, "make room on its disk"),
        (errno.EIO, "check what {} is"),
    ],
)
def test_a_folder_that_cannot_be_written_fails_with_its_remedy(root: Path, number: int, remedy: str) -> None:
    folders = {"root": root, "happy": root / "happy"}
    (result,) = check_folders(folders, CONFIG, make_failing(number))
    assert result.state is CheckState.FAIL
    assert result.found == f"root, happy: {root} cannot be written ({os.strerror(number)})"
    assert result.remedy == remedy.format(root)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_without_a_configuration_nobody_is_told_to_take_over_what_is_not_theirs(
    root: Path, number: int
) -> None:
    folders = {"root": root / "photos", "the database's folder": root}
    (result,) = check_folders(folders, None, make_failing(number), is_own=lambda _: False)
    assert result.state is CheckState.FAIL
    assert result.remedy.startswith("change to a folder of your own, or set folders.root")


def test_a_folder_to_be_made_in_what_is_not_theirs_is_made_and_given_instead(root: Path) -> None:
    folders = {"root": root / "photos", "inbox": root / "photos/inbox"}
    (result,) = check_folders(folders, CONFIG, make_failing(errno.EACCES), is_own=lambda _: False)
    assert (
        result.remedy == f"make {root / 'photos'} and give it to the user who runs the worker (mkdir, chown)"
    )


@pytest.mark.parametrize(
    ("config_file", "number", "remedy"),
    [
        (None, errno.ENOSPC, "make room on its disk"),
        (CONFIG, errno.EROFS, "mount its file system for writing"),
        (CONFIG, errno.EACCES, "give {} to the user who runs the worker (chown, chmod)"),
    ],
)
def test_what_is_not_theirs_otherwise_has_the_usual_remedy(
    root: Path, config_file: Path | None, number: int, remedy: str
) -> None:
    (result,) = check_folders({"root": root}, config_file, make_failing(number), is_own=lambda _: False)
    assert result.remedy == remedy.format(root)


def test_a_file_where_a_folder_belongs_fails(root: Path) -> None:
    (root / "happy").touch()
    (result,) = check_folders({"root": root, "happy": root / "happy"}, CONFIG)
    assert (result.state, result.remedy) == (CheckState.FAIL, f"move the file {root / 'happy'} away")


@pytest.mark.parametrize("key", ["inbox", "review", "quarantine"])
def test_a_label_that_is_another_folder_of_the_worker_fails(key: str) -> None:
    (result,) = check_labels(Folders(**{key: "happy"}), ["happy", "sad"])
    assert (result.state, result.remedy) == (CheckState.FAIL, f"give folders.{key} another name")


def test_a_label_folder_that_would_hold_the_inbox_fails() -> None:
    (result,) = check_labels(Folders(inbox="sad/new"), ["happy", "sad"])
    assert result.state is CheckState.FAIL


def test_labels_of_their_own_are_reported() -> None:
    assert list(check_labels(Folders(), ["happy", "sad"])) == [
        CheckResult("labels", CheckState.OK, "the model files into happy, sad")
    ]


def test_folders_on_one_file_system_with_links_are_fine(root: Path) -> None:
    results = list(check_moves({"root": root, "inbox": root / "inbox"}, root / "inbox"))
    assert [result.state for result in results] == [CheckState.OK, CheckState.OK]
    assert results[1].found == f"{root}: hard links work"


def test_a_folder_on_another_file_system_is_warned_of(root: Path) -> None:
    (root / "happy").mkdir()
    folders = {"root": root, "inbox": root / "inbox", "happy": root / "happy"}
    results = list(check_moves(folders, root / "inbox", device=lambda path: path.name == "happy"))
    assert results[0].state is CheckState.WARN
    assert results[0].found.startswith("happy: on another file system")
    assert [result.check for result in results] == ["file systems", "links", "links"]


def test_without_links_the_rename_that_replaces_them_is_reported(root: Path) -> None:
    renamed: list[Path] = []
    operations = FileOperations(
        link=make_failing(errno.EPERM), rename_without_replacing=lambda _source, to: renamed.append(to)
    )
    *_, result = check_moves({"root": root}, root / "inbox", operations)
    assert (result.state, result.found) == (
        CheckState.OK,
        f"{root}: no hard links here; renameat2 works instead",
    )
    assert len(renamed) == 1


def test_a_file_system_that_can_neither_link_nor_rename_safely_fails(root: Path) -> None:
    operations = FileOperations(
        link=make_failing(errno.EOPNOTSUPP), rename_without_replacing=make_failing(errno.EINVAL)
    )
    *_, result = check_moves({"root": root}, root / "inbox", operations)
    assert result.state is CheckState.FAIL
    assert "another file system" in result.remedy


def test_a_disk_with_an_error_is_not_taken_for_one_without_links(root: Path) -> None:
    *_, result = check_moves({"root": root}, root / "inbox", FileOperations(link=make_failing(errno.EIO)))
    assert (result.state, result.found) == (CheckState.FAIL, f"{root}: {os.strerror(errno.EIO)}")


def test_a_folder_that_is_a_symbolic_link_fails_with_its_remedy(root: Path) -> None:
    (root / "happy").symlink_to(root / "inbox")
    folders = {"root": root, "inbox": root / "inbox", "happy": root / "happy", "sad": root / "sad"}
    (result,) = check_symbolic_links(folders, root)
    assert (result.state, result.found) == (
        CheckState.FAIL,
        f"happy: {root}/happy is a symbolic link, which is not followed",
    )
    assert "mount" in result.remedy


@pytest.mark.parametrize(
    ("space", "state"),
    [
        (Space(total=100 * GIB, free=49_999_999), CheckState.FAIL),
        (Space(total=100 * GIB, free=50_000_000), CheckState.WARN),
        (Space(total=2 * GIB, free=GIB), CheckState.OK),
        (Space(total=100 * GIB, free=4 * GIB), CheckState.WARN),
        (Space(total=4000 * GIB, free=40 * GIB), CheckState.OK),
        (Space(total=0, free=0), CheckState.OK),
    ],
)
def test_space_is_warned_of_before_it_is_gone(root: Path, space: Space, state: CheckState) -> None:
    (result,) = check_space({"photos": root}, lambda _: space)
    assert result.state is state
    assert bool(result.remedy) is (state is not CheckState.OK)


def test_space_that_cannot_be_measured_fails(root: Path) -> None:
    def refuse(_: Path) -> Space:
        raise OSError(errno.EIO, "Input/output error")

    (result,) = check_space({"database": root}, refuse)
    assert (result.state, result.found) == (CheckState.FAIL, "database: Input/output error")
