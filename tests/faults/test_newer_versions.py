"""A newer version that takes a photo's place while it is moved is another photo, and is never lost."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.file_moves import (
    FILE_SYSTEMS,
    drop,
    make_move,
    make_refusal,
    move_file,
    read_files,
    separate_mounts,
)
from worker.filing import FileOperations, Move, MoveContinues, Moved, MoveHindered, Mover, SourceChanged
from worker.tree import Folder

OLD, NEW = b"the version that was read", b"a newer one, as long as i"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "happy").mkdir()
    return tmp_path


def save_a_second_later(path: Path) -> None:
    """Save a version of the same size, as a program does that keeps editing."""
    assert len(OLD) == len(NEW)
    modified_ns = path.stat().st_mtime_ns + 1_000_000_000
    path.write_bytes(NEW)
    os.utime(path, ns=(modified_ns, modified_ns))


def test_a_version_that_was_hidden_by_a_kill_comes_back(root: Path) -> None:
    move = make_move(root, drop(root, "a.jpg", OLD))
    assert move.identity is not None
    (root / move.copy).write_bytes(OLD)
    status = (root / move.source).stat()
    os.utime(root / move.copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    # Another program has saved in between, and the worker was killed when it had hidden that version.
    save_a_second_later(root / move.source)
    (root / move.source).rename(root / move.leaving)
    with closing(Mover(root, FileOperations(**separate_mounts()))) as mover:
        mover.settle_private_names(1, move.source, move.destination, move.identity.remember())
    assert read_files(root)["inbox/a.jpg"] == NEW


def test_a_version_that_was_saved_while_a_move_was_hindered_stays(root: Path) -> None:
    move = make_move(root, drop(root, "a.jpg", OLD))
    is_refused = True

    def sync_folder(folder: Folder) -> None:
        if is_refused and folder.path == Path("happy"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        FileOperations().sync_folder(folder)

    operations = FileOperations(**separate_mounts() | {"sync_folder": sync_folder})
    with closing(Mover(root, operations)) as mover:
        (result,) = mover.move_all([move])
        assert isinstance(result, MoveHindered)
        save_a_second_later(root / move.source)
        is_refused = False
        mover.move_all([move])
    assert read_files(root)["inbox/a.jpg"] == NEW
    assert OLD in read_files(root).values()


@pytest.mark.parametrize("file_system", ["one", "like NFS"])
def test_a_photo_whose_new_name_was_removed_meanwhile_keeps_its_old_one(root: Path, file_system: str) -> None:
    move = make_move(root, drop(root, "a.jpg", OLD))

    def sync_folder(folder: Folder) -> None:
        FileOperations().sync_folder(folder)
        if folder.path == Path("happy") and (root / move.source).exists():
            (root / move.destination).unlink(missing_ok=True)

    operations = FILE_SYSTEMS[file_system]() | {"sync_folder": sync_folder}
    assert move_file(root, move, **operations) == SourceChanged(move)
    assert read_files(root) == {"inbox/a.jpg": OLD}


def test_a_photo_whose_new_folder_was_taken_away_meanwhile_keeps_its_old_name(root: Path) -> None:
    move = make_move(root, drop(root, "a.jpg", OLD))

    def sync_folder(folder: Folder) -> None:
        if folder.path == Path("happy"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        FileOperations().sync_folder(folder)

    assert isinstance(move_file(root, move, sync_folder=sync_folder), MoveHindered)
    assert read_files(root)["inbox/a.jpg"] == OLD


def test_a_photo_stays_visible_where_it_could_be_hidden_but_not_named_again(root: Path) -> None:
    move = make_move(root, drop(root, "a.jpg", OLD))
    operations = {"link": make_refusal(errno.EPERM), "rename_without_replacing": make_refusal(errno.EINVAL)}
    assert isinstance(move_file(root, move, **operations), MoveHindered)
    assert read_files(root) == {"inbox/a.jpg": OLD}


def test_of_many_large_photos_one_at_a_time_is_half_copied(root: Path) -> None:
    moves = [make_move(root, drop(root, f"{number}.jpg", OLD * 40), number) for number in range(1, 9)]
    waiting: list[Move] = list(moves)
    with closing(Mover(root, FileOperations(**separate_mounts()), slice_bytes=300)) as mover:
        for _ in range(60):
            results = mover.move_all(waiting)
            assert all(isinstance(result, Moved | MoveContinues) for result in results)
            assert len(list(root.glob("happy/.moodsort-*.part"))) <= 1
            waiting = [result.move for result in results if isinstance(result, MoveContinues)]
    assert waiting == []
    assert set(read_files(root).values()) == {OLD * 40}
