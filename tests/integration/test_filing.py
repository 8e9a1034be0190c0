"""Moving real files: never over another one, never losing one, whatever the file system refuses."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drawing import draw_jpeg
from worker.fileio import FileIdentity, identify_file
from worker.filing import (
    DestinationTaken,
    FileOperations,
    Move,
    Moved,
    MoveHindered,
    Mover,
    MoveResult,
    PathState,
    SourceChanged,
    read_path_state,
    recovery_plan,
)

CALLS = tuple(field.name for field in fields(FileOperations))
BYSTANDER = b"a bystander, not to be touched"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "happy").mkdir()
    return tmp_path


def drop(root: Path, name: str = "a.jpg", content: bytes | None = None) -> Path:
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw_jpeg() if content is None else content)
    return path


def read_identity(path: Path) -> FileIdentity:
    identity = identify_file(path.lstat())
    assert identity is not None
    return identity


def make_move(source: Path, photo_id: int = 1, name: str | None = None) -> Move:
    root = next(parent.parent for parent in source.parents if parent.name == "inbox")
    destination = root / "happy" / (name or source.relative_to(root / "inbox"))
    return Move(photo_id, source, destination, read_identity(source))


def move_file(move: Move, **operations: Callable[..., Any]) -> MoveResult:
    (result,) = Mover(replace(FileOperations(), **operations)).move_all([move])
    return result


def read_files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def make_refusal(number: int) -> Callable[..., Any]:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def separate_mounts(number: int = errno.EXDEV) -> dict[str, Callable[..., Any]]:
    """Return a link and a rename that fail as between two mounts; only link reports a taken name first."""
    real = FileOperations()

    def link(source: Path, destination: Path) -> None:
        if source.parent == destination.parent:
            real.link(source, destination)
        elif os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        else:
            raise OSError(number, os.strerror(number))

    def rename(source: Path, destination: Path) -> None:
        if source.parent != destination.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real.rename_without_replacing(source, destination)

    return {"link": link, "rename_without_replacing": rename}


# On one file system


def test_a_photo_arrives_whole_and_leaves_the_inbox(root: Path) -> None:
    move = make_move(drop(root))
    before = move.source.stat()

    assert move_file(move) == Moved(move)

    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}
    after = move.destination.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (before.st_ino, before.st_mtime_ns, 1)


def test_folders_below_the_label_are_made(root: Path) -> None:
    move = make_move(drop(root, "2024/summer/a.jpg"))
    assert move_file(move) == Moved(move)
    assert list(read_files(root)) == ["happy/2024/summer/a.jpg"]


def test_a_taken_name_is_never_written_over(root: Path) -> None:
    move = make_move(drop(root))
    move.destination.write_bytes(BYSTANDER)
    assert move_file(move) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": BYSTANDER, "inbox/a.jpg": draw_jpeg()}


def test_another_file_with_the_name_and_the_content_of_a_photo_is_not_taken_for_it(root: Path) -> None:
    move = make_move(drop(root))
    move.destination.write_bytes(draw_jpeg())
    assert move_file(move) == DestinationTaken(move)
    assert len(read_files(root)) == 2


@pytest.mark.parametrize("kind", ["symbolic link", "folder", "FIFO"])
def test_a_name_that_is_taken_by_something_else_than_a_file_is_taken(root: Path, kind: str) -> None:
    move = make_move(drop(root))
    if kind == "symbolic link":
        move.destination.symlink_to("nowhere")
    elif kind == "folder":
        move.destination.mkdir()
    else:
        os.mkfifo(move.destination)
    assert move_file(move) == DestinationTaken(move)
    assert list(read_files(root)) == ["inbox/a.jpg"]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.jpg", "ü.jpg".encode("latin-1"), b"-rf.jpg", b"two\nlines.jpg", b"n" * 251 + b".jpg"]
)
def test_any_name_is_moved(root: Path, name: bytes) -> None:
    move = make_move(drop(root, os.fsdecode(name)))
    assert move_file(move) == Moved(move)
    assert os.listdir(os.fsencode(root / "happy")) == [name]  # noqa: PTH208


def test_a_batch_is_moved_as_one_and_one_refusal_hinders_only_itself(root: Path) -> None:
    moves = [make_move(drop(root, f"{number}.jpg"), number) for number in range(5)]
    moves[2].destination.write_bytes(BYSTANDER)
    moves[3].source.unlink()

    results = Mover().move_all(moves)

    assert [type(result) for result in results] == [Moved, Moved, DestinationTaken, SourceChanged, Moved]
    assert [result.move for result in results] == moves


def test_a_folder_is_synced_once_for_a_batch(root: Path) -> None:
    synced: list[Path] = []
    moves = [make_move(drop(root, f"{number}.jpg"), number) for number in range(8)]
    Mover(replace(FileOperations(), sync_folder=synced.append)).move_all(moves)
    assert synced == [root / "happy", root / "inbox"]


def test_the_new_name_is_durable_before_the_old_one_is_removed(root: Path) -> None:
    calls: list[str] = []
    real = FileOperations()

    def record(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(f"{name} {arguments[-1].parent.name if name == 'unlink' else arguments[-1].name}")
            return getattr(real, name)(*arguments)

        return call

    move_file(make_move(drop(root)), **{name: record(name) for name in ("link", "sync_folder", "unlink")})
    assert calls == ["link a.jpg", "sync_folder happy", "unlink inbox", "sync_folder inbox"]


# Changes during a move


def test_a_photo_that_was_written_to_since_it_was_read_stays(root: Path) -> None:
    move = make_move(drop(root))
    with move.source.open("ab") as photo:
        photo.write(b"more")
    assert move_file(move) == SourceChanged(move)
    assert list(read_files(root)) == ["inbox/a.jpg"]


def test_a_photo_that_was_replaced_since_it_was_read_stays(root: Path) -> None:
    move = make_move(drop(root))
    replacement = drop(root, "b.jpg", b"another")
    replacement.replace(move.source)
    assert move_file(move) == SourceChanged(move)
    assert read_files(root) == {"inbox/a.jpg": b"another"}


def test_a_photo_that_has_gone_is_reported_as_changed(root: Path) -> None:
    move = make_move(drop(root))
    move.source.unlink()
    assert move_file(move) == SourceChanged(move)
    assert read_files(root) == {}


def test_what_came_under_the_old_name_during_the_move_is_not_removed(root: Path) -> None:
    move = make_move(drop(root))

    def sync(folder: Path) -> None:
        if folder.name == "happy":
            drop(root, "new", b"a newcomer").replace(move.source)

    assert move_file(move, sync_folder=sync) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg(), "inbox/a.jpg": b"a newcomer"}


def test_what_was_written_to_after_it_was_copied_is_not_removed(root: Path) -> None:
    move = make_move(drop(root))

    def sync(folder: Path) -> None:
        if folder.name == "happy":
            move.source.write_bytes(b"written over in place")

    assert move_file(move, sync_folder=sync, **separate_mounts()) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg(), "inbox/a.jpg": b"written over in place"}


def test_what_changes_while_it_is_copied_is_not_filed(root: Path) -> None:
    move = make_move(drop(root))

    def write(descriptor: int, data: memoryview) -> int:
        with move.source.open("ab") as photo:
            photo.write(b"!")
        return os.write(descriptor, data)

    assert move_file(move, write=write, **separate_mounts()) == SourceChanged(move)
    assert list(read_files(root)) == ["inbox/a.jpg"]


# Without links


def test_between_file_systems_content_times_and_mode_are_kept_and_no_copy_is_left(root: Path) -> None:
    move = make_move(drop(root))
    os.utime(move.source, ns=(1_000_000_000, 999_000_000_123))
    move.source.chmod(0o640)
    move = replace(move, identity=read_identity(move.source))
    before = move.source.stat()

    assert move_file(move, **separate_mounts()) == Moved(move)

    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}
    after = move.destination.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mtime_ns, stat.S_IMODE(after.st_mode)) == (before.st_mtime_ns, 0o640)


def test_a_copy_is_durable_before_it_has_a_name(root: Path) -> None:
    calls: list[str] = []
    links = separate_mounts()

    def fsync(descriptor: int) -> None:
        calls.append("fsync")

    def link(source: Path, destination: Path) -> None:
        links["link"](source, destination)
        calls.append(destination.name)

    move_file(make_move(drop(root)), **links | {"fsync": fsync, "link": link})
    assert calls == ["fsync", "a.jpg"]


def test_a_copy_that_a_crash_left_incomplete_is_replaced(root: Path) -> None:
    move = make_move(drop(root), photo_id=7)
    (root / "happy" / ".moodsort-7.part").write_bytes(b"half")
    assert move_file(move, **separate_mounts()) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_a_copy_that_a_crash_left_incomplete_is_discarded(root: Path) -> None:
    hidden = root / "happy" / ".moodsort-7.part"
    hidden.write_bytes(b"half")
    Mover().discard_copy(7, root / "happy" / "a.jpg")
    Mover().discard_copy(7, root / "happy" / "a.jpg")
    Mover().discard_copy(7, root / "nowhere" / "a.jpg")
    assert not hidden.exists()


def test_a_copy_that_arrived_before_a_crash_is_not_made_again(root: Path) -> None:
    # The device is the same, as with two bind mounts of one file system.
    move = make_move(drop(root))
    move.destination.write_bytes(draw_jpeg())
    assert move_file(move, **separate_mounts()) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_another_file_across_mounts_is_not_taken_for_the_photo(root: Path) -> None:
    move = make_move(drop(root))
    move.destination.write_bytes(BYSTANDER)
    assert move_file(move, **separate_mounts()) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": BYSTANDER, "inbox/a.jpg": draw_jpeg()}


def test_a_short_write_is_continued(root: Path) -> None:
    move = make_move(drop(root))
    assert move_file(move, write=lambda fd, data: os.write(fd, data[:100]), **separate_mounts()) == Moved(
        move
    )
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_links_are_refused_the_photo_is_renamed_without_replacing(root: Path, number: int) -> None:
    move = make_move(drop(root))
    assert move_file(move, link=make_refusal(number)) == Moved(move)
    assert read_files(root) == {"happy/a.jpg": draw_jpeg()}


def test_a_rename_never_replaces(root: Path) -> None:
    move = make_move(drop(root))
    move.destination.write_bytes(BYSTANDER)
    assert move_file(move, link=make_refusal(errno.EPERM)) == DestinationTaken(move)
    assert read_files(root) == {"happy/a.jpg": BYSTANDER, "inbox/a.jpg": draw_jpeg()}


def test_a_label_folder_that_leads_elsewhere_is_followed(root: Path) -> None:
    (root / "happy").rmdir()
    (root / "disk").mkdir()
    (root / "happy").symlink_to(root / "disk")
    move = make_move(drop(root))
    assert move_file(move) == Moved(move)
    assert read_files(root / "disk") == {"a.jpg": draw_jpeg()}


def test_a_file_in_the_way_of_a_folder_hinders_and_stays(root: Path) -> None:
    move = make_move(drop(root, "2024/a.jpg"))
    (root / "happy" / "2024").write_bytes(BYSTANDER)
    result = move_file(move)
    assert isinstance(result, MoveHindered)
    assert "ENOTDIR" in result.detail
    assert read_files(root) == {"happy/2024": BYSTANDER, "inbox/2024/a.jpg": draw_jpeg()}


def test_a_destination_that_vanishes_before_it_is_compared_was_not_the_photo(root: Path) -> None:
    move = make_move(drop(root))
    move.destination.write_bytes(draw_jpeg())
    operations = separate_mounts()

    def rename(source: Path, destination: Path) -> None:
        destination.unlink()  # after link has reported it, before it is hashed
        operations["rename_without_replacing"](source, destination)

    result = move_file(move, **operations | {"rename_without_replacing": rename})
    assert result == DestinationTaken(move)
    assert read_files(root) == {"inbox/a.jpg": draw_jpeg()}


# What a path holds


def test_the_state_of_a_path_is_the_identity_and_the_hash_of_its_file(root: Path) -> None:
    path = drop(root)
    assert read_path_state(path) == PathState(read_identity(path), hashlib.sha256(draw_jpeg()).hexdigest())


def test_a_path_without_a_regular_file_has_no_state(root: Path) -> None:
    (root / "link").symlink_to(drop(root))
    for name in ("none.jpg", "inbox", "inbox/a.jpg/below", "link"):
        assert read_path_state(root / name) == PathState(None, None)


def test_a_file_that_vanishes_before_it_is_hashed_has_no_state(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(root)

    def identify_and_unlink(path: Path) -> FileIdentity | None:
        identity = read_identity(path)
        path.unlink()
        return identity

    monkeypatch.setattr(recovery_plan, "identify_path", identify_and_unlink)
    assert read_path_state(path) == PathState(None, None)


# Faults

FAULTS = [errno.ENOSPC, errno.EIO, errno.EROFS]
LINKED = ("link", "unlink", "sync_folder", "make_folder")
COPIED = (*LINKED, "fsync", "write")


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("call", "is_copied"), [*((call, False) for call in LINKED), *((call, True) for call in COPIED)]
)
def test_a_refused_call_hinders_and_the_same_move_made_again_finishes(
    root: Path, call: str, is_copied: bool, number: int
) -> None:
    operations = separate_mounts() if is_copied else {}
    move = make_move(drop(root, "2024/a.jpg"))
    (root / "happy" / "b.jpg").write_bytes(BYSTANDER)

    result = move_file(move, **operations | {call: make_refusal(number)})

    assert isinstance(result, MoveHindered)
    assert errno.errorcode[number] in result.detail
    assert draw_jpeg() in read_files(root).values()

    assert move_file(move, **operations) == Moved(move)
    Mover().discard_copy(move.photo_id, move.destination)
    assert read_files(root) == {"happy/2024/a.jpg": draw_jpeg(), "happy/b.jpg": BYSTANDER}


class FailingOperations:
    """Operations of which some calls fail.

    `faults` maps the number of a call to an error, and whether it comes after the effect of the call.
    """

    def __init__(self, base: FileOperations, faults: dict[int, tuple[int, bool]]) -> None:
        self._base = base
        self._faults = faults
        self._count = 0

    def build(self) -> FileOperations:
        return FileOperations(**{name: self._make_failing(name) for name in CALLS})

    def repair(self) -> None:
        self._faults = {}

    def _make_failing(self, name: str) -> Callable[..., Any]:
        real = getattr(self._base, name)

        def call(*arguments: Any) -> Any:
            self._count += 1
            number, is_after = self._faults.get(self._count, (0, False))
            if number and not is_after:
                raise OSError(number, os.strerror(number))
            result = real(*arguments)
            if number:
                raise OSError(number, os.strerror(number))
            return result

        return call


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.dictionaries(st.integers(1, 14), st.tuples(st.sampled_from(FAULTS), st.booleans()), max_size=6),
    method=st.sampled_from(["link", "copy", "rename"]),
    tries=st.integers(1, 4),
    is_known=st.booleans(),
)
def test_after_any_faults_a_move_finishes_with_the_photo_at_one_place(
    tmp_path_factory: pytest.TempPathFactory,
    faults: dict[int, tuple[int, bool]],
    method: str,
    tries: int,
    is_known: bool,
) -> None:
    root = tmp_path_factory.mktemp("faults")
    (root / "happy").mkdir()
    (root / "happy" / "b.jpg").write_bytes(BYSTANDER)
    move = make_move(drop(root, "2024/a.jpg"))
    if not is_known:
        move = replace(move, identity=None)
    operations = {"link": {}, "copy": separate_mounts(), "rename": {"link": make_refusal(errno.EPERM)}}[
        method
    ]
    # A rename may take effect and yet fail; without an identity nobody can see that it did.
    faults = {call: (number, is_after and is_known) for call, (number, is_after) in faults.items()}
    failing = FailingOperations(replace(FileOperations(), **operations), faults)
    mover = Mover(failing.build())

    results = [mover.move_all([move])[0] for _ in range(tries)]
    while isinstance(results[-1], MoveHindered):
        assert draw_jpeg() in read_files(root).values()
        failing.repair()
        results += mover.move_all([move])

    first_success = next(result for result in results if not isinstance(result, MoveHindered))
    assert first_success == Moved(move)
    failing.repair()
    mover.discard_copy(move.photo_id, move.destination)
    assert read_files(root) == {"happy/2024/a.jpg": draw_jpeg(), "happy/b.jpg": BYSTANDER}
