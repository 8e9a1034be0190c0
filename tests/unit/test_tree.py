"""Folders below a root: found component by component, across no symbolic link, each opened once."""

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from worker.tree import Tree, find_link, open_folder, walk_folder

Open = Callable[[int, Path], int]

both_ways = pytest.mark.parametrize("open_below", [open_folder, walk_folder])


def read_inode(root: Path, path: str, open_below: Open) -> tuple[int, int]:
    with closing(Tree(root, open_below)) as tree:
        status = os.fstat(tree.open_folder(Path(path)).descriptor)
        return status.st_dev, status.st_ino


@both_ways
@pytest.mark.parametrize("path", [".", "a", "a/b"])
def test_a_folder_is_opened_by_its_relative_path(tmp_path: Path, open_below: Open, path: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    status = (tmp_path / path).stat()
    assert read_inode(tmp_path, path, open_below) == (status.st_dev, status.st_ino)


@both_ways
@pytest.mark.parametrize("link", ["a", "a/b", "a/b/c"])
def test_a_symbolic_link_anywhere_on_the_way_is_refused_by_name(
    tmp_path: Path, open_below: Open, link: str
) -> None:
    (tmp_path / "root" / link).parent.mkdir(parents=True)
    (tmp_path / "elsewhere" / "b" / "c").mkdir(parents=True)
    target = tmp_path.joinpath("elsewhere", *Path(link).parts[1:])
    (tmp_path / "root" / link).symlink_to(target)
    with pytest.raises(OSError, match=f"{link} is a symbolic link") as refusal:
        read_inode(tmp_path / "root", "a/b/c", open_below)
    assert refusal.value.errno == errno.ELOOP


@both_ways
@pytest.mark.parametrize("path", ["../elsewhere", "a/../../elsewhere", "/"])
def test_no_path_leads_out_of_the_root(tmp_path: Path, open_below: Open, path: str) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(OSError) as refusal:  # noqa: PT011
        read_inode(tmp_path / "root", path, open_below)
    assert refusal.value.errno == errno.EXDEV


@both_ways
def test_what_is_no_folder_is_not_opened(tmp_path: Path, open_below: Open) -> None:
    (tmp_path / "a").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    for path in ("a", "fifo", "a/b"):
        with pytest.raises(NotADirectoryError):
            read_inode(tmp_path, path, open_below)
    with pytest.raises(FileNotFoundError):
        read_inode(tmp_path, "none", open_below)


def test_a_folder_is_opened_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    path = Path(*["n" * 200] * 25)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for name in path.parts:
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    status = os.fstat(descriptor)
    os.close(descriptor)
    assert read_inode(tmp_path, str(path), open_folder) == (status.st_dev, status.st_ino)


def test_a_root_may_be_a_symbolic_link_and_may_be_replaced_between_batches(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "a").mkdir(parents=True)
    inodes = []
    for name in ("first", "second"):
        (tmp_path / "root").unlink(missing_ok=True)
        (tmp_path / "root").symlink_to(name)
        inodes.append(read_inode(tmp_path / "root", "a", open_folder)[1])
    assert inodes == [(tmp_path / name / "a").stat().st_ino for name in ("first", "second")]


def test_a_folder_is_opened_once_while_few_others_are_asked_for(tmp_path: Path) -> None:
    opened: list[Path] = []

    def open_below(root: int, path: Path) -> int:
        opened.append(path)
        return open_folder(root, path)

    paths = [Path(str(number)) for number in range(100)]
    for path in paths:
        (tmp_path / path).mkdir()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with closing(Tree(tmp_path, open_below)) as tree:
        for path in [*paths, *paths[-10:]]:
            assert tree.find_entry(path / "a").folder.path == path
        assert len(os.listdir("/proc/self/fd")) < before + 70  # noqa: PTH208
        assert opened == paths


def test_the_link_on_the_way_to_a_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to("nowhere")
    assert find_link(tmp_path, tmp_path / "a" / "b" / "c") == tmp_path / "a" / "b"
    assert find_link(tmp_path, tmp_path / "a") is None
    assert find_link(tmp_path, tmp_path) is None
