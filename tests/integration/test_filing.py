"""Moving real files: never over another one, never losing one, whatever the file system refuses."""

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.drawing import draw_jpeg
from tests.file_moves import (
    BYSTANDER,
    FILE_SYSTEMS,
    drop,
    make_move,
    make_refusal,
    move_file,
    read_files,
    read_identity,
    separate_mounts,
)
from tests.home import PROJECT
from worker.fileio import FileIdentity
from worker.filing import (
    DestinationTaken,
    FileOperations,
    MoveContinues,
    Moved,
    MoveHindered,
    Mover,
    SourceChanged,
    read_path_state,
)
from worker.filing.file_copy import copy_range
from worker.tree import Entry, Folder, Tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "happy").mkdir()
    return tmp_path


# On one file system


def test_a_photo_arrives_whole_and_leaves_the_inbox(root: Path) -> None:
    move = make_move(root, drop(root))
    before = (root / move.source).stat()

    assert move_file(root, move) == Moved(move)

    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}
    after = (root / move.destination).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (before.st_ino, before.st_mtime_ns, 1)


def test_folders_below_the_label_are_made(root: Path) -> None:
    move = make_move(root, drop(root, "2024/summer/a.jpg"))
    assert move_file(root, move) == Moved(move)
    assert list(read_files(root)) == ["happy/2024/summer/a.jpg"]


def test_a_taken_name_is_never_written_over(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.destination).write_bytes(BYSTANDER)
    assert move_file(root, move) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": BYSTANDER, "inbox/a.jpg": draw_jpeg()}


def test_another_file_with_the_name_and_the_content_of_a_photo_is_not_taken_for_it(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.destination).write_bytes(draw_jpeg())
    assert move_file(root, move) == DestinationTaken(move)
    assert len(read_files(root)) == 2


@pytest.mark.parametrize("kind", ["symbolic link", "folder", "FIFO"])
def test_a_name_that_is_taken_by_something_else_than_a_file_is_taken(root: Path, kind: str) -> None:
    move = make_move(root, drop(root))
    if kind == "symbolic link":
        (root / move.destination).symlink_to("nowhere")
    elif kind == "folder":
        (root / move.destination).mkdir()
    else:
        os.mkfifo(root / move.destination)
    assert move_file(root, move) == DestinationTaken(move)
    assert list(read_files(root)) == ["inbox/a.jpg"]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.jpg", "ü.jpg".encode("latin-1"), b"-rf.jpg", b"two\nlines.jpg", b"n" * 251 + b".jpg"]
)
def test_any_name_is_moved(root: Path, name: bytes) -> None:
    move = make_move(root, drop(root, os.fsdecode(name)))
    assert move_file(root, move) == Moved(move)
    assert os.listdir(os.fsencode(root / "happy")) == [name]  # noqa: PTH208


def test_a_batch_is_moved_as_one_and_one_refusal_hinders_only_itself(root: Path) -> None:
    moves = [make_move(root, drop(root, f"{number}.jpg"), number) for number in range(5)]
    (root / moves[2].destination).write_bytes(BYSTANDER)
    (root / moves[3].source).unlink()

    results = Mover(root).move_all(moves)

    assert [type(result) for result in results] == [Moved, Moved, DestinationTaken, SourceChanged, Moved]
    assert [result.move for result in results] == moves


def test_a_folder_is_synced_once_for_a_batch(root: Path) -> None:
    synced: list[Folder] = []
    moves = [make_move(root, drop(root, f"{number}.jpg"), number) for number in range(8)]
    Mover(root, replace(FileOperations(), sync_folder=synced.append)).move_all(moves)
    assert [folder.path for folder in synced] == [Path(), Path("happy"), Path("inbox")]


def test_a_label_folder_that_is_there_is_made_durable_once_before_a_photo_goes_there(root: Path) -> None:
    synced: list[Path] = []

    def sync(folder: Folder) -> None:
        synced.append(folder.path)

    with closing(Mover(root, replace(FileOperations(), sync_folder=sync))) as mover:
        for number in range(2):
            mover.move_all([make_move(root, drop(root, f"{number}.jpg"), number)])
    assert synced == [Path(), *([Path("happy"), Path("inbox")] * 2)]


def test_a_folder_that_could_not_be_made_durable_is_not_believed_to_be(root: Path) -> None:
    move = make_move(root, drop(root, "trip/a.jpg"))
    synced: list[Path] = []

    def sync(folder: Folder) -> None:
        if folder.path == Path("happy") and Path("happy") not in synced:
            synced.append(folder.path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        synced.append(folder.path)

    with closing(Mover(root, replace(FileOperations(), sync_folder=sync))) as mover:
        (result,) = mover.move_all([move])
        assert isinstance(result, MoveHindered)
        assert (root / move.source).exists()
        assert mover.move_all([move]) == [Moved(move)]
    assert synced == [Path(), Path("happy"), Path("happy"), Path("happy/trip"), Path("inbox/trip")]


def test_a_folder_that_was_made_anew_is_made_durable_again(root: Path) -> None:
    synced: list[Path] = []

    def sync(folder: Folder) -> None:
        synced.append(folder.path)

    with closing(Mover(root, replace(FileOperations(), sync_folder=sync))) as mover:
        mover.move_all([make_move(root, drop(root, "trip/a.jpg"), 1)])
        (root / "happy/trip").rename(root / "happy/journey")
        mover.move_all([make_move(root, drop(root, "trip/b.jpg"), 2)])
    assert synced.count(Path("happy")) == 2


def test_the_new_name_is_durable_before_the_old_one_is_removed(root: Path) -> None:
    calls: list[str] = []
    real = FileOperations()

    def record(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(f"{name} {arguments[-1].path}")
            return getattr(real, name)(*arguments)

        return call

    steps = ("link", "sync_folder", "rename_without_replacing", "unlink")
    move_file(root, make_move(root, drop(root)), **{name: record(name) for name in steps})
    private = "inbox/.moodsort-1.leaving"
    withdrawal = [f"rename_without_replacing {private}", f"unlink {private}"]
    way = ["sync_folder .", "link happy/a.jpg", "sync_folder happy"]
    assert calls == [*way, *withdrawal, "sync_folder inbox"]


# Changes during a move


def test_a_photo_that_was_written_to_since_it_was_read_stays(root: Path) -> None:
    move = make_move(root, drop(root))
    with (root / move.source).open("ab") as photo:
        photo.write(b"more")
    assert move_file(root, move) == SourceChanged(move)
    assert list(read_files(root)) == ["inbox/a.jpg"]


def test_a_photo_that_was_replaced_since_it_was_read_stays(root: Path) -> None:
    move = make_move(root, drop(root))
    replacement = drop(root, "b.jpg", b"another")
    replacement.replace(root / move.source)
    assert move_file(root, move) == SourceChanged(move)
    assert read_files(root) == {"inbox/a.jpg": b"another"}


def test_a_photo_that_has_gone_is_reported_as_changed(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.source).unlink()
    assert move_file(root, move) == SourceChanged(move)
    assert read_files(root) == {}


def test_what_came_under_the_old_name_during_the_move_is_not_removed(root: Path) -> None:
    move = make_move(root, drop(root))

    def sync(folder: Folder) -> None:
        if folder.path.name == "happy":
            drop(root, "new", b"a newcomer").replace(root / move.source)

    assert move_file(root, move, sync_folder=sync) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg(), "inbox/a.jpg": b"a newcomer"}


def test_what_was_written_to_after_it_was_copied_is_not_removed(root: Path) -> None:
    move = make_move(root, drop(root))

    def sync(folder: Folder) -> None:
        if folder.path.name == "happy":
            (root / move.source).write_bytes(b"written over in place")

    assert move_file(root, move, sync_folder=sync, **separate_mounts()) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg(), "inbox/a.jpg": b"written over in place"}


def test_what_changes_while_it_is_copied_is_not_filed(root: Path) -> None:
    move = make_move(root, drop(root))

    def copy(source: int, target: int, offset: int, count: int) -> int:
        with (root / move.source).open("ab") as photo:
            photo.write(b"!")
        return copy_range(source, target, offset, count)

    assert move_file(root, move, copy=copy, **separate_mounts()) == SourceChanged(move)
    assert list(read_files(root)) == ["inbox/a.jpg"]


def swap_for_link(root: Path, folder: str) -> Path:
    """Move a folder of the inbox away and put a symbolic link to it in its place."""
    elsewhere = root / "elsewhere"
    (root / folder).rename(elsewhere)
    (root / folder).symlink_to(elsewhere)
    return elsewhere


def test_nothing_is_moved_out_of_a_folder_that_was_swapped_for_a_symbolic_link(root: Path) -> None:
    move = make_move(root, drop(root, "album/a.jpg"))
    elsewhere = swap_for_link(root, "inbox/album")
    result = move_file(root, move)
    assert isinstance(result, MoveHindered)
    assert "inbox/album is a symbolic link" in result.detail
    assert read_files(elsewhere) == {"a.jpg": draw_jpeg()}
    assert read_files(root) == {"elsewhere/a.jpg": draw_jpeg()}


@pytest.mark.parametrize("call", ["open_file", "link", "sync_folder", "rename_without_replacing", "unlink"])
def test_a_folder_that_is_swapped_during_the_move_is_left_or_withdrawn_from_as_it_was_opened(
    root: Path, call: str
) -> None:
    move = make_move(root, drop(root, "album/a.jpg"))
    outside = root / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(BYSTANDER)
    real = getattr(FileOperations(), call)

    def swap(*arguments: Any) -> Any:
        if not (root / "inbox/album").is_symlink():
            (root / "inbox/album").rename(root / "away")
            (root / "inbox/album").symlink_to(outside)
        return real(*arguments)

    move_file(root, move, **{call: swap})
    assert read_files(outside) == {"a.jpg": BYSTANDER}
    assert sorted(read_files(root).values()) == sorted([BYSTANDER, draw_jpeg()])


def hook_hiding(
    effect: Callable[[], object], base: dict[str, Callable[..., Any]]
) -> dict[str, Callable[..., Any]]:
    """Return operations that have an effect just before the source is renamed to its private name."""
    operations = FileOperations(**base)

    def rename(source: Entry, destination: Entry) -> None:
        if destination.path.suffix == ".leaving":
            effect()
        operations.rename_without_replacing(source, destination)

    return base | {"rename_without_replacing": rename}


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_a_newer_version_that_replaces_the_photo_before_it_is_withdrawn_stays(
    root: Path, file_system: str
) -> None:
    move = make_move(root, drop(root))

    def replace_source() -> None:
        drop(root, "new", b"a newer version").replace(root / move.source)

    result = move_file(root, move, **hook_hiding(replace_source, FILE_SYSTEMS[file_system]()))

    is_renamed = file_system == "without links"
    assert result == (SourceChanged(move) if is_renamed else Moved(move))
    arrived = {} if is_renamed else {"happy/a.jpg": draw_jpeg()}
    assert read_files(root) == arrived | {"inbox/a.jpg": b"a newer version"}


def test_what_is_put_back_gets_a_number_where_its_name_is_taken_meanwhile(root: Path) -> None:
    move = make_move(root, drop(root))

    def replace_source() -> None:
        drop(root, "new", b"a newer version").replace(root / move.source)

    def read_status(entry: Entry) -> os.stat_result:
        if entry.path == move.leaving:
            drop(root, "a.jpg", b"the newest")
        return FileOperations().read_status(entry)

    operations = hook_hiding(replace_source, {}) | {"read_status": read_status}
    assert move_file(root, move, **operations) == Moved(move)
    assert read_files(root) == {
        "happy/a.jpg": draw_jpeg(),
        "inbox/a.jpg": b"the newest",
        "inbox/a (2).jpg": b"a newer version",
    }


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_private_names_of_another_photo_with_the_same_id_are_given_back(root: Path, file_system: str) -> None:
    move = make_move(root, drop(root))
    (root / move.leaving).write_bytes(b"was leaving")
    (root / move.copy).write_bytes(b"was copied")

    assert move_file(root, move, **FILE_SYSTEMS[file_system]()) in (Moved(move), DestinationTaken(move))

    files = read_files(root)
    assert {draw_jpeg(), b"was leaving", b"was copied"} <= set(files.values())
    assert "inbox/.moodsort-1.leaving" not in files or files["inbox/a.jpg"] == draw_jpeg()


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOENT])
@pytest.mark.parametrize("call", ["link", "rename_without_replacing", "rename", "unlink"])
@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_a_call_whose_answer_was_lost_counts_where_it_had_its_effect(
    root: Path, file_system: str, call: str, number: int
) -> None:
    if call == "unlink" and number == errno.EEXIST:
        return
    operations = FileOperations(**FILE_SYSTEMS[file_system]())
    real = getattr(operations, call)

    def lose_answer(*arguments: Any) -> None:
        real(*arguments)
        raise OSError(number, os.strerror(number))

    move = make_move(root, drop(root))
    with closing(Mover(root, replace(operations, **{call: lose_answer}))) as mover:
        results = [*mover.move_all([move]), *mover.move_all([move])]
    assert Moved(move) in results
    assert not [result for result in results if isinstance(result, DestinationTaken)]
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


# Without links


def test_between_file_systems_content_times_and_mode_are_kept_and_no_copy_is_left(root: Path) -> None:
    move = make_move(root, drop(root))
    os.utime(root / move.source, ns=(1_000_000_000, 999_000_000_123))
    (root / move.source).chmod(0o640)
    move = replace(move, identity=read_identity(root / move.source))
    before = (root / move.source).stat()

    assert move_file(root, move, **separate_mounts()) == Moved(move)

    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}
    after = (root / move.destination).stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mtime_ns, stat.S_IMODE(after.st_mode)) == (before.st_mtime_ns, 0o640)


def test_a_copy_is_durable_before_it_has_a_name(root: Path) -> None:
    calls: list[str] = []
    links = separate_mounts()

    def fsync(descriptor: int) -> None:
        calls.append("fsync")

    def rename(source: Entry, destination: Entry) -> None:
        links["rename_without_replacing"](source, destination)
        calls.append(destination.name)

    operations = links | {"fsync": fsync, "rename_without_replacing": rename}
    move_file(root, make_move(root, drop(root)), **operations)
    assert calls == ["fsync", ".moodsort-1.copy", ".moodsort-1.leaving"]


def test_a_copy_that_a_crash_left_incomplete_is_replaced(root: Path) -> None:
    move = make_move(root, drop(root), photo_id=7)
    (root / "happy" / ".moodsort-7.part").write_bytes(b"half")
    assert move_file(root, move, **separate_mounts()) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_a_copy_that_a_crash_left_incomplete_is_discarded(root: Path) -> None:
    hidden = root / "happy" / ".moodsort-7.part"
    hidden.write_bytes(b"half")
    for folder in ("happy", "happy", "nowhere"):
        assert Mover(root).settle_private_names(7, Path("inbox/a.jpg"), Path(folder, "a.jpg"), None) is None
    assert not hidden.exists()


def test_an_equal_file_on_another_file_system_is_not_taken_for_the_photo(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.destination).write_bytes(draw_jpeg())
    shutil.copystat(root / move.source, root / move.destination)
    assert move_file(root, move, **separate_mounts()) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg(), "inbox/a.jpg": draw_jpeg()}


def test_another_file_across_mounts_is_not_taken_for_the_photo(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.destination).write_bytes(BYSTANDER)
    assert move_file(root, move, **separate_mounts()) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": BYSTANDER, "inbox/a.jpg": draw_jpeg()}


def test_a_short_write_is_continued(root: Path) -> None:
    move = make_move(root, drop(root))

    def copy(source: int, target: int, offset: int, count: int) -> int:
        return copy_range(source, target, offset, min(count, 100))

    assert move_file(root, move, copy=copy, **separate_mounts()) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_a_large_photo_is_copied_in_slices_and_holds_up_no_other(root: Path) -> None:
    large, small = (
        make_move(root, drop(root, "a.jpg", b"large" * 1000)),
        make_move(root, drop(root, "b.jpg"), 2),
    )
    copied: list[int] = []

    def copy(source: int, target: int, offset: int, count: int) -> int:
        copied.append(copy_range(source, target, offset, count))
        return copied[-1]

    operations = FileOperations(**separate_mounts() | {"copy": copy})
    with closing(Mover(root, operations, slice_bytes=3000)) as mover:
        assert mover.move_all([large, small]) == [MoveContinues(large), MoveContinues(small)]
        assert read_files(root).keys() == {"inbox/a.jpg", "inbox/b.jpg", "happy/.moodsort-1.part"}
        assert mover.move_all([large, small]) == [MoveContinues(large), Moved(small)]
        assert mover.move_all([large]) == [Moved(large)]
    assert copied == [3000, len(draw_jpeg()), 3000 - len(draw_jpeg()), 2000 - 3000 + len(draw_jpeg())]
    assert read_files(root) == {"happy/a.jpg": b"large" * 1000, "happy/b.jpg": draw_jpeg()}


@pytest.mark.parametrize("change", ["grown", "replaced", "gone"])
def test_a_large_photo_that_changes_between_two_slices_is_not_filed(root: Path, change: str) -> None:
    path = drop(root, "a.jpg", b"large" * 1000)
    move = make_move(root, path)
    with closing(Mover(root, FileOperations(**separate_mounts()), slice_bytes=2000)) as mover:
        assert mover.move_all([move]) == [MoveContinues(move)]
        if change == "grown":
            with path.open("ab") as photo:
                photo.write(b"more")
        else:
            path.unlink()
        if change == "replaced":
            drop(root, "a.jpg", b"other" * 1000)
        assert mover.move_all([move]) == [SourceChanged(move)]
    assert read_files(root).keys() == (set() if change == "gone" else {"inbox/a.jpg"})


def test_photos_are_moved_to_real_mount_points(root: Path) -> None:
    drop(root)
    (root / "sad").mkdir()
    drop(root, "b.jpg", BYSTANDER)
    script = f"""
import sys
from pathlib import Path
from worker.fileio import identify_path
from worker.filing import Move, Mover
root = Path({str(root)!r})
identify = lambda name: identify_path(root / "inbox" / name)
moves = [
    Move(1, Path("inbox/a.jpg"), Path("happy/trip/a.jpg"), identify("a.jpg")),
    Move(2, Path("inbox/b.jpg"), Path("sad/b.jpg"), identify("b.jpg")),
]
print([type(result).__name__ for result in Mover(root).move_all(moves)])
print(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))
"""
    mount = f"mount -t tmpfs none '{root}/happy' && mount --bind '{root}/sad' '{root}/sad'"
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*command, mount], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    done = subprocess.run(
        [*command, f"{mount} && exec {sys.executable} -"],
        input=script,
        text=True,
        capture_output=True,
        cwd=PROJECT,
    )
    assert done.stdout.splitlines() == ["['Moved', 'Moved']", "['happy/trip/a.jpg', 'sad/b.jpg']"], (
        done.stderr
    )


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_links_are_refused_the_photo_is_renamed_without_replacing(root: Path, number: int) -> None:
    move = make_move(root, drop(root))
    assert move_file(root, move, link=make_refusal(number)) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_a_rename_never_replaces(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.destination).write_bytes(BYSTANDER)
    assert move_file(root, move, link=make_refusal(errno.EPERM)) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": BYSTANDER, "inbox/a.jpg": draw_jpeg()}


def test_a_label_folder_that_leads_elsewhere_is_not_followed(root: Path) -> None:
    (root / "happy").rmdir()
    (root / "disk").mkdir()
    (root / "happy").symlink_to(root / "disk")
    result = move_file(root, make_move(root, drop(root)))
    assert isinstance(result, MoveHindered)
    assert "happy is a symbolic link" in result.detail
    assert "mount" in result.detail
    assert read_files(root) == {"inbox/a.jpg": draw_jpeg()}


def test_a_root_that_is_a_symbolic_link_is_followed(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "photos"
    link.symlink_to(root)
    move = make_move(root, drop(root))
    assert move_file(link, move) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_a_file_in_the_way_of_a_folder_hinders_and_stays(root: Path) -> None:
    move = make_move(root, drop(root, "2024/a.jpg"))
    (root / "happy" / "2024").write_bytes(BYSTANDER)
    result = move_file(root, move)
    assert isinstance(result, MoveHindered)
    assert "ENOTDIR" in result.detail
    assert read_files(root) == {"happy/2024": BYSTANDER, "inbox/2024/a.jpg": draw_jpeg()}


def test_a_destination_that_vanishes_before_it_is_compared_was_not_the_photo(root: Path) -> None:
    move = make_move(root, drop(root))
    (root / move.destination).write_bytes(draw_jpeg())

    def read_status(entry: Entry) -> os.stat_result:
        (root / move.destination).unlink(missing_ok=True)  # after link has reported it
        return FileOperations().read_status(entry)

    assert move_file(root, move, read_status=read_status) == DestinationTaken(move)
    assert read_files(root) == {"inbox/a.jpg": draw_jpeg()}


# What a path holds


def read_state(root: Path, path: str) -> tuple[FileIdentity | None, str | None]:
    with closing(Tree(root)) as tree:
        state = read_path_state(tree, Path(path))
        return state.identity, state.read_sha256()


def test_the_state_of_a_path_is_the_identity_and_the_hash_of_its_file(root: Path) -> None:
    path = drop(root)
    identity, sha256 = read_state(root, "inbox/a.jpg")
    assert (identity, sha256) == (read_identity(path), hashlib.sha256(draw_jpeg()).hexdigest())


def test_a_path_without_a_regular_file_has_no_state(root: Path) -> None:
    (root / "link").symlink_to(drop(root))
    os.mkfifo(root / "fifo")
    for name in ("none.jpg", "inbox", "inbox/a.jpg/below", "link", "fifo"):
        assert read_state(root, name) == (None, None)


def test_no_state_is_read_over_a_symbolic_link(root: Path) -> None:
    drop(root)
    (root / "elsewhere").symlink_to(root / "inbox")
    with pytest.raises(OSError, match="elsewhere is a symbolic link"):
        read_state(root, "elsewhere/a.jpg")
