import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.config import Folders
from worker.filing.operations import FileOperations
from worker.ops.doctor.folders import Space, check_folders, check_moving, check_names, check_space
from worker.ops.doctor.result import CheckResult, CheckState

GIB = 2**30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_folders_that_are_missing_are_no_trouble_where_they_can_be_made(root: Path) -> None:
    folders = {"root": root, "inbox": root / "inbox", "happy": root / "happy"}
    assert list(check_folders(folders)) == [
        CheckResult("folders", CheckState.OK, "root, inbox can be written; happy will be made")
    ]


def test_looking_at_folders_leaves_nothing_behind(root: Path) -> None:
    list(check_folders({"root": root, "happy": root / "happy"}))
    list(check_moving({"root": root, "inbox": root / "inbox"}, root / "inbox"))
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
def test_a_folder_that_cannot_be_written_fails_with_what_mends_it(
    root: Path, number: int, remedy: str
) -> None:
    folders = {"root": root, "happy": root / "happy"}
    (finding,) = check_folders(folders, failing(number))
    assert finding.state is CheckState.FAIL
    assert finding.found == f"root, happy: {root} cannot be written ({os.strerror(number)})"
    assert finding.remedy == remedy.format(root)


def test_a_file_where_a_folder_belongs_fails(root: Path) -> None:
    (root / "happy").touch()
    (finding,) = check_folders({"root": root, "happy": root / "happy"})
    assert (finding.state, finding.remedy) == (CheckState.FAIL, f"move the file {root / 'happy'} away")


@pytest.mark.parametrize("key", ["inbox", "review", "quarantine"])
def test_a_label_that_is_another_folder_of_ours_fails(key: str) -> None:
    (finding,) = check_names(Folders(**{key: "happy"}), ["happy", "sad"])
    assert (finding.state, finding.remedy) == (CheckState.FAIL, f"give folders.{key} another name")


def test_a_label_folder_that_would_hold_the_inbox_fails() -> None:
    (finding,) = check_names(Folders(inbox="sad/new"), ["happy", "sad"])
    assert finding.state is CheckState.FAIL


def test_labels_of_their_own_are_told() -> None:
    assert list(check_names(Folders(), ["happy", "sad"])) == [
        CheckResult("labels", CheckState.OK, "the model files into happy, sad")
    ]


def test_folders_on_one_file_system_with_links_are_fine(root: Path) -> None:
    findings = list(check_moving({"root": root, "inbox": root / "inbox"}, root / "inbox"))
    assert [finding.state for finding in findings] == [CheckState.OK, CheckState.OK]
    assert findings[1].found == f"{root}: hard links work"


def test_a_folder_on_another_file_system_is_warned_of(root: Path) -> None:
    (root / "happy").mkdir()
    folders = {"root": root, "inbox": root / "inbox", "happy": root / "happy"}
    findings = list(check_moving(folders, root / "inbox", device=lambda path: path.name == "happy"))
    assert findings[0].state is CheckState.WARN
    assert findings[0].found.startswith("happy: on another file system")
    assert [finding.check for finding in findings] == ["file systems", "links", "links"]


def test_without_links_the_rename_that_stands_in_for_them_is_told(root: Path) -> None:
    renamed: list[Path] = []
    operations = FileOperations(
        link=failing(errno.EPERM), rename_without_replacing=lambda _source, to: renamed.append(to)
    )
    *_, finding = check_moving({"root": root}, root / "inbox", operations)
    assert (finding.state, finding.found) == (
        CheckState.OK,
        f"{root}: no hard links here; renameat2 works instead",
    )
    assert len(renamed) == 1


def test_a_file_system_that_can_neither_link_nor_rename_safely_fails(root: Path) -> None:
    operations = FileOperations(
        link=failing(errno.EOPNOTSUPP), rename_without_replacing=failing(errno.EINVAL)
    )
    *_, finding = check_moving({"root": root}, root / "inbox", operations)
    assert finding.state is CheckState.FAIL
    assert "another file system" in finding.remedy


def test_a_disk_with_an_error_is_not_taken_for_one_without_links(root: Path) -> None:
    *_, finding = check_moving({"root": root}, root / "inbox", FileOperations(link=failing(errno.EIO)))
    assert (finding.state, finding.found) == (CheckState.FAIL, f"{root}: {os.strerror(errno.EIO)}")


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
    (finding,) = check_space({"photos": root}, lambda _: space)
    assert finding.state is state
    assert bool(finding.remedy) is (state is not CheckState.OK)


def test_space_that_cannot_be_asked_for_fails(root: Path) -> None:
    def refuse(_: Path) -> Space:
        raise OSError(errno.EIO, "Input/output error")

    (finding,) = check_space({"database": root}, refuse)
    assert (finding.state, finding.found) == (CheckState.FAIL, "database: Input/output error")
