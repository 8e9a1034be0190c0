"""Moves that fail or are killed at any of their calls: the photo stays whole, and ends at one place."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drawing import draw_jpeg
from tests.file_moves import BYSTANDER, FILE_SYSTEMS, drop, make_move, make_refusal, read_files
from worker.filing import (
    DecidedFile,
    FileOperations,
    Move,
    Moved,
    MoveHindered,
    Mover,
    RecoveryAction,
    plan_recovery,
    read_path_state,
)
from worker.tree import Tree

CALLS = tuple(field.name for field in fields(FileOperations))
FAULTS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE, errno.ESTALE]
PHOTO = draw_jpeg()
FILED = {"happy/2024/a.jpg": PHOTO, "happy/b.jpg": BYSTANDER}

EMPLOYED = {
    "one": {"link", "rename_without_replacing", "unlink"},
    "without links": {"link", "rename_without_replacing"},
    "like NFS": {"link", "rename_without_replacing", "rename", "unlink"},
    "two": {"link", "rename_without_replacing", "unlink", "copy", "fsync"},
    "two without links": {"link", "rename_without_replacing", "unlink", "copy", "fsync"},
}
ALWAYS_EMPLOYED = {"open_folder", "open_file", "read_status", "make_folder", "sync_folder"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class FailingOperations:
    """Operations of which some calls fail.

    `faults` maps the number of a call to an error, 0 for a kill, and whether it comes after the effect.
    """

    def __init__(self, file_system: str, faults: dict[int, tuple[int, bool]]) -> None:
        self._base = replace(FileOperations(), **FILE_SYSTEMS[file_system]())
        self._faults = faults
        self.count = 0

    def build(self) -> FileOperations:
        return FileOperations(**{name: self._make_failing(name) for name in CALLS})

    def repair(self) -> None:
        self._faults = {}

    def _make_failing(self, name: str) -> Callable[..., Any]:
        real = getattr(self._base, name)

        def call(*arguments: Any) -> Any:
            self.count += 1
            fault, is_after = self._faults.get(self.count, (None, False))
            if fault is None:
                return real(*arguments)
            if is_after:
                with suppress(OSError):
                    result = real(*arguments)
                    if name.startswith("open"):
                        os.close(result)
            raise OSError(fault, os.strerror(fault)) if fault else Killed

        return call


@pytest.fixture
def new_root(tmp_path: Path) -> Callable[[], Path]:
    numbers = count()

    def make_root() -> Path:
        root = tmp_path / str(next(numbers))
        (root / "happy").mkdir(parents=True)
        (root / "happy" / "b.jpg").write_bytes(BYSTANDER)
        drop(root, "2024/a.jpg", PHOTO)
        return root

    return make_root


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("file_system", "call"),
    [(name, call) for name, calls in EMPLOYED.items() for call in sorted(calls | ALWAYS_EMPLOYED)],
)
def test_a_refused_call_hinders_and_the_same_move_made_again_finishes(
    new_root: Callable[[], Path], file_system: str, call: str, number: int
) -> None:
    root = new_root()
    move = make_move(root, root / "inbox/2024/a.jpg")
    operations = FileOperations(**FILE_SYSTEMS[file_system]())
    real, refuse = getattr(operations, call), make_refusal(number)
    refusals: list[None] = []

    def refuse_once(*arguments: Any) -> Any:
        if refusals:
            return real(*arguments)
        refusals.append(None)
        return refuse()

    with closing(Mover(root, replace(operations, **{call: refuse_once}))) as mover:
        (result,) = mover.move_all([move])
        assert isinstance(result, MoveHindered)
        assert errno.errorcode[number] in result.detail
        assert PHOTO in read_files(root).values()
        assert mover.move_all([move]) == [Moved(move)]
    assert read_files(root) == FILED


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.dictionaries(st.integers(1, 30), st.tuples(st.sampled_from(FAULTS), st.booleans()), max_size=6),
    file_system=st.sampled_from(list(FILE_SYSTEMS)),
    tries=st.integers(1, 4),
    is_known=st.booleans(),
)
def test_after_any_faults_a_move_finishes_with_the_photo_at_one_place(
    new_root: Callable[[], Path],
    faults: dict[int, tuple[int, bool]],
    file_system: str,
    tries: int,
    is_known: bool,
) -> None:
    root = new_root()
    move = make_move(root, root / "inbox/2024/a.jpg")
    if not is_known:
        move = replace(move, identity=None)
    failing = FailingOperations(file_system, faults)
    with closing(Mover(root, failing.build())) as mover:
        results = [mover.move_all([move])[0]]
        while isinstance(results[-1], MoveHindered):
            assert PHOTO in read_files(root).values()
            if len(results) >= tries:
                failing.repair()
            results += mover.move_all([move])
    assert results[-1] == Moved(move)
    assert read_files(root) == FILED


# Kills


def kill(root: Path, move: Move, file_system: str, call: int, *, is_after: bool) -> bool:
    """Make a move that is killed at one of its calls; tell whether it came that far."""
    mover = Mover(root, FailingOperations(file_system, {call: (0, is_after)}).build())
    try:
        with closing(mover):
            mover.move_all([move])
    except Killed:
        return True
    return False


def recover(root: Path, move: Move, operations: FileOperations) -> RecoveryAction:
    """Go on with a move as the next worker does; return what it found to do."""
    assert move.identity is not None
    decided = DecidedFile(move.identity.remember(), hashlib.sha256(PHOTO).hexdigest())
    with closing(Mover(root, operations)) as mover:
        copy = mover.settle_private_names(move.photo_id, move.source, move.destination, decided.file)
        with closing(Tree(root)) as tree:
            source = read_path_state(tree, move.source)
            action = plan_recovery(decided, source, read_path_state(tree, move.destination))
        identity = source.identity if action is RecoveryAction.MOVE else copy
        action = RecoveryAction.MOVE if copy else action
        if action is RecoveryAction.MOVE:
            again = replace(move, identity=identity)
            assert mover.move_all([again]) == [Moved(again)]
    return action


def iterate_calls(new_root: Callable[[], Path], file_system: str) -> Iterator[tuple[Path, Move]]:
    """Yield a root and a move that was killed before and after each of its calls."""
    for call in count(1):
        for is_after in (False, True):
            root = new_root()
            move = make_move(root, root / "inbox/2024/a.jpg")
            if not kill(root, move, file_system, call, is_after=is_after):
                assert call > 10
                return
            yield root, move


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_a_move_that_was_killed_at_any_call_is_finished_by_the_next_worker(
    new_root: Callable[[], Path], file_system: str
) -> None:
    for root, move in iterate_calls(new_root, file_system):
        assert PHOTO in read_files(root).values()
        action = recover(root, move, FailingOperations(file_system, {}).build())
        assert action in (RecoveryAction.MOVE, RecoveryAction.RECORD)
        assert read_files(root) == FILED


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_a_file_that_came_under_the_old_name_after_a_kill_stays(
    new_root: Callable[[], Path], file_system: str
) -> None:
    for root, move in iterate_calls(new_root, file_system):
        if not (root / move.source).exists():
            (root / move.source).write_bytes(b"a newcomer")
            action = recover(root, move, FailingOperations(file_system, {}).build())
            files = read_files(root)
            assert sorted(files.values()) == sorted([PHOTO, BYSTANDER, b"a newcomer"])
            assert not [path for path in files if "moodsort" in path]
            # Hidden without a link, the photo gets a number, and both are predicted.
            is_filed = action in (RecoveryAction.MOVE, RecoveryAction.RECORD)
            assert files["happy/2024/a.jpg" if is_filed else "inbox/2024/a (2).jpg"] == PHOTO


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file_system=st.sampled_from(list(FILE_SYSTEMS)),
    kills=st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=2, max_size=4),
)
def test_a_move_survives_kills_during_its_recovery(
    new_root: Callable[[], Path], file_system: str, kills: list[tuple[int, bool]]
) -> None:
    root = new_root()
    move = make_move(root, root / "inbox/2024/a.jpg")
    (first, is_after), *others = kills
    kill(root, move, file_system, first, is_after=is_after)
    for call, is_after in others:
        with suppress(Killed):
            recover(root, move, FailingOperations(file_system, {call: (0, is_after)}).build())
    recover(root, move, FailingOperations(file_system, {}).build())
    assert read_files(root) == FILED
