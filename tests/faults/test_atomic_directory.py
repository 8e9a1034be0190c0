"""A new bundle comes into its place whole or not at all, whichever call fails or is the last."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.patience import scale
from trainer.data.atomic_directory import DirectoryOperations, check_output, prepare_directory
from worker.errors import BundleError, ConfigError

NAMES = ("sync", "exchange", "rename", "remove")

KILLED_AT = """
import errno, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.faults.test_atomic_directory import Calls, write

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

calls = Calls(int(sys.argv[4]), kill, can_exchange=sys.argv[3] == "exchange")
write(Path(sys.argv[2]), "newer", calls.make_operations())
print(calls.count)
"""


class Calls:
    """Operations that count, and do something else at the call of the given number, counted from 1."""

    def __init__(self, number: int, instead: Callable[[], Any], *, can_exchange: bool = True) -> None:
        self._number = number
        self._instead = instead
        self._can_exchange = can_exchange
        self.count = 0

    def make_operations(self) -> DirectoryOperations:
        return DirectoryOperations(
            **{name: self._wrap(name, getattr(DirectoryOperations(), name)) for name in NAMES}
        )

    def _wrap(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def count_call(*paths: Path) -> None:
            self.count += 1
            if self.count == self._number:
                self._instead()
            if name == "exchange" and not self._can_exchange:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            call(*paths)

        return count_call


def write(out: Path, content: str, operations: DirectoryOperations | None = None) -> None:
    with prepare_directory(out, operations) as draft:
        (draft / "report").mkdir()
        for name in ("manifest.json", "scene.tflite", "report/index.html"):
            (draft / name).write_text(json.dumps(content))


def read_content(out: Path) -> str | None:
    """Return which bundle is there, whole, or None where there is none."""
    if not out.exists():
        return None
    files = [path for path in out.rglob("*") if path.is_file()]
    (content,) = {path.read_text() for path in files}
    assert len(files) == 3
    return str(json.loads(content))


def make_failure(number: int) -> Callable[[], Any]:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def try_to_write(out: Path, operations: DirectoryOperations) -> BundleError | None:
    try:
        write(out, "newer", operations)
    except BundleError as error:
        return error
    return None


@pytest.mark.parametrize("cause", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("way", ["new", "exchange", "renames"])
def test_a_call_that_fails_leaves_the_earlier_bundle_and_one_line(tmp_path, way, cause):
    earlier = None if way == "new" else "older"
    refused = 0
    for number in range(1, 20):
        out = tmp_path / str(number) / "bundle"
        if earlier:
            write(out, earlier)
        calls = Calls(number, make_failure(cause), can_exchange=way != "renames")
        refusal = try_to_write(out, calls.make_operations())
        refused += refusal is not None

        if refusal:
            assert str(out) in str(refusal)
            assert "\n" not in str(refusal)
        assert read_content(out) == (earlier if refusal else "newer")
        write(out, "newest")
        assert read_content(out) == "newest"
        assert [path.name for path in out.parent.iterdir()] == ["bundle"]
        if calls.count < number:
            break
    assert calls.count < number, "not every call was made to fail"
    assert refused >= 7  # three files, two folders, the move, and the folder that it was made in


@pytest.mark.parametrize("way", ["new", "exchange", "renames"])
def test_a_run_killed_before_any_call_leaves_a_whole_bundle_or_none(tmp_path, way):
    out = tmp_path / "bundle"
    earlier = None if way == "new" else "older"
    contents = set()
    for number in range(1, 20):
        if earlier:
            write(out, earlier)
        project = Path(__file__).parents[2]
        command = [sys.executable, "-c", KILLED_AT, project, out, way, number]
        process = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, timeout=scale(30), check=False
        )
        content = read_content(out)
        contents.add(content)
        assert content in ({earlier, "newer"} if way != "renames" else {earlier, "newer", None})

        # The next run clears away what is left, and gives back what stood aside, even if it fails itself.
        with pytest.raises(BundleError, match="unfinished"), prepare_directory(out):
            raise BundleError("unfinished")
        assert read_content(out) == (content or earlier)
        assert {path.name for path in tmp_path.iterdir()} == ({"bundle"} if content or earlier else set())
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, process.stderr
        if way == "new" and out.exists():
            break
    assert "newer" in contents
    assert earlier in contents


def test_the_draft_of_a_run_that_is_alive_is_left_alone(tmp_path):
    with prepare_directory(tmp_path / "bundle") as first:
        (first / "manifest.json").write_text("first")
        write(tmp_path / "bundle", "second")
        assert (first / "manifest.json").read_text() == "first"

    assert (tmp_path / "bundle" / "manifest.json").read_text() == "first"


def test_folders_above_are_made_and_taken_back_where_the_bundle_fails(tmp_path):
    with pytest.raises(BundleError, match="unfinished"), prepare_directory(tmp_path / "a" / "b" / "bundle"):
        raise BundleError("unfinished")
    assert list(tmp_path.iterdir()) == []

    write(tmp_path / "a" / "b" / "bundle", "first")
    assert read_content(tmp_path / "a" / "b" / "bundle") == "first"


def test_a_bundle_of_another_name_keeps_its_draft(tmp_path):
    foreign = tmp_path / ".bundle2-12345678.draft"
    foreign.mkdir()
    leftover = tmp_path / ".bundle-12345678.draft"
    leftover.mkdir()

    write(tmp_path / "bundle", "first")

    assert foreign.is_dir()
    assert not leftover.exists()


def test_a_disk_that_is_full_while_the_files_are_written_is_one_line(tmp_path):
    write(tmp_path / "bundle", "older")

    with (
        pytest.raises(BundleError, match=r"bundle: cannot be written \(No space left on device\)") as refusal,
        prepare_directory(tmp_path / "bundle"),
    ):
        make_failure(errno.ENOSPC)()

    assert "\n" not in str(refusal.value)
    assert read_content(tmp_path / "bundle") == "older"


def test_an_error_without_a_cause_still_says_something(tmp_path):
    with (
        pytest.raises(BundleError, match=r"\(Can't write data no space\)"),
        prepare_directory(tmp_path / "bundle"),
    ):
        raise OSError("Can't write data\n no space")


def test_an_output_that_cannot_be_made_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "file").write_text("kept")
    long_name = "b" * 250

    for out, sentence in (
        (tmp_path / "file", "is not a folder"),
        (tmp_path / "file" / "bundle", "is not a folder"),
        (tmp_path / "file" / "deep" / "bundle", "is not a folder"),
        (tmp_path / long_name, "too long"),
    ):
        with pytest.raises(ConfigError, match=sentence) as refusal:
            check_output(out)
        assert "\n" not in str(refusal.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_without_permission_is_refused(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)

    with pytest.raises(ConfigError, match="not writable"):
        check_output(closed / "bundle")
