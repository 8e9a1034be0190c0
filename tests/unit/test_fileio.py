"""The primitives of the file system: whole or nothing, never over another file, and quiet where asked."""

import errno
import fcntl
import os
import resource
import select
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.fileio import (
    Wakeup,
    exchange_paths,
    find_lock_holder,
    hash_file,
    identify_path,
    rename_without_replacing,
    replace_file,
    silence_stderr,
    sync_path,
    try_lock,
)

# Takes the lock of the file argv[1], says so, and holds it until its standard input ends.
_HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def hold_lock_elsewhere(path: Path) -> Iterator[int]:
    """Hold the lock of a file in another process; yield its id."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD_LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as popen:
        assert popen.stdout
        assert popen.stdout.readline() == "locked\n"
        yield popen.pid
        popen.communicate()


def test_a_new_file_is_written_with_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"new", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_reader_that_has_the_old_file_open_goes_on_reading_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with (tmp_path / "a").open("rb") as reader:
        replace_file(tmp_path / "a", b"new")
        assert reader.read() == b"old"


def test_a_rename_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    drafts: list[bytes] = []

    def fail(draft: Path, _: Path) -> None:
        drafts.append(draft.read_bytes())
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        replace_file(tmp_path / "a", b"new", replace=fail)
    assert drafts == [b"new"], "the draft was not whole before the rename"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.fixture
def _only_100_bytes_a_file() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_only_100_bytes_a_file")
def test_a_write_that_is_cut_short_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        replace_file(tmp_path / "a", b"new" * 100)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("call", ["fsync", "chmod"])
def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        replace_file(tmp_path / "a", b"new", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_folder_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "none" / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_replaced_and_its_target_is_as_it_was(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    replace_file(link, b"new")
    assert (link.is_symlink(), link.read_bytes(), target.read_bytes()) == (False, b"new", b"old")


def test_a_rename_goes_to_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    rename_without_replacing(tmp_path / "a", tmp_path / "b")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"b": b"a"}


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_rename_never_goes_over_another_name(tmp_path: Path, is_folder: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir() if is_folder else (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        rename_without_replacing(tmp_path / "a", tmp_path / "b")
    assert is_folder or {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "a", "b": "b"}


def test_two_folders_are_swapped_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "was").write_text(name)
    exchange_paths(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name / "was").read_text() for name in ("a", "b")] == ["b", "a"]


def test_what_is_not_there_cannot_be_swapped(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError):
        exchange_paths(tmp_path / "a", tmp_path / "none")


def test_an_identity_changes_with_every_write_and_stays_without_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before = identify_path(path)
    assert before == identify_path(path)
    path.write_bytes(b"22")
    after = identify_path(path)
    assert before
    assert after
    assert before != after
    assert before.is_same_file(after)


def test_what_is_no_regular_file_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert identify_path(tmp_path) is None
    assert identify_path(tmp_path / "link") is None
    assert identify_path(tmp_path / "none") is None


def test_the_hash_is_sha_256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-4, example of one block
    assert hash_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(("number", "is_error"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_only_a_file_system_without_fsync_is_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_error: bool
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    if is_error:
        with pytest.raises(OSError, match=os.strerror(number)):
            sync_path(tmp_path)
    else:
        sync_path(tmp_path)


def test_a_lock_is_held_by_one_at_a_time_and_ends_with_its_context(tmp_path: Path) -> None:
    with try_lock(tmp_path) as is_first, try_lock(tmp_path) as is_second:
        assert (is_first, is_second) == (True, False)
    with try_lock(tmp_path) as is_third:
        assert is_third


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with hold_lock_elsewhere(path), try_lock(path) as is_held:
        assert not is_held
    with try_lock(path) as is_held:
        assert is_held


def test_the_holder_of_a_lock_is_read_from_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with hold_lock_elsewhere(path) as process:
        assert find_lock_holder(path) == 0, "a holder that has not written its id yet is unknown"
        path.write_text(f"{process}\n")
        assert find_lock_holder(path) == process
        path.write_text("not a number\n")
        assert find_lock_holder(path) == 0


def test_a_lock_that_nobody_holds_has_no_holder_whatever_is_written_in_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert find_lock_holder(path) is None
    path.write_text("4711\n")
    assert find_lock_holder(path) is None


def test_asking_who_holds_a_lock_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    assert find_lock_holder(path) is None
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_WRITE_AROUND_SILENCE = """
import os, sys
from worker.fileio import silence_stderr
print("before", file=sys.stderr)
with silence_stderr():
    os.write(2, b"by a library")
    print("by Python", file=sys.stderr)
os.write(2, b"after")
"""


def test_what_anybody_writes_to_descriptor_2_is_discarded_until_the_context_ends() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _WRITE_AROUND_SILENCE], capture_output=True, text=True, check=True
    )
    assert run.stderr == "before\nafter"


def test_stderr_is_heard_again_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), silence_stderr():
        raise ValueError("inside")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@contextmanager
def open_wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    try:
        yield wakeup
    finally:
        wakeup.close()


def is_readable(wakeup: Wakeup, seconds: float = 0) -> bool:
    return bool(select.select([wakeup], [], [], seconds)[0])


def test_a_wakeup_is_readable_from_the_first_wake_until_it_is_cleared() -> None:
    with open_wakeup() as wakeup:
        assert not is_readable(wakeup)
        wakeup.wake()
        wakeup.wake()
        assert is_readable(wakeup)
        wakeup.clear()
        assert not is_readable(wakeup)


def test_clearing_a_wakeup_that_was_not_woken_returns_at_once() -> None:
    with open_wakeup() as wakeup:
        wakeup.clear()
        assert not is_readable(wakeup)


def test_a_wakeup_works_where_there_is_no_pipe2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pipe2")
    with open_wakeup() as wakeup:
        wakeup.wake()
        assert is_readable(wakeup)
        assert not os.get_inheritable(wakeup.fileno())


def test_a_wakeup_that_nobody_reads_never_blocks_who_wakes() -> None:
    with open_wakeup() as wakeup:
        for _ in range(70_000):  # more than the 65,536 bytes of a pipe (pipe(7))
            wakeup.wake()
        assert is_readable(wakeup)
        wakeup.clear()
        assert not is_readable(wakeup)


def test_another_thread_ends_a_wait() -> None:
    with open_wakeup() as wakeup:
        thread = threading.Thread(target=wakeup.wake)
        thread.start()
        assert is_readable(wakeup, seconds=10)
        thread.join()
