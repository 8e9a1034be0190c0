"""A folder of the inbox becomes a symbolic link while its photos are in work: nothing outside is touched."""

import errno
import os
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.file_moves import separate_mounts
from tests.home import Home
from worker.filing import FileOperations
from worker.filing.copier import SLICE_BYTES
from worker.tree import Entry


def swap_for_link(home: Home, folder: str) -> Path:
    """Move a folder of the inbox out of it, and put a symbolic link to it in its place."""
    outside = home.folder / "outside"
    (home.inbox / folder).rename(outside)
    (home.inbox / folder).symlink_to(outside)
    return outside


@pytest.mark.parametrize("status", ["pending", "decided"])
def test_a_photo_in_hand_is_not_moved_out_of_a_folder_that_was_swapped(home: Home, status: str) -> None:
    home.drop("album/a.jpg", draw_jpeg(1))
    is_swapped = False

    def link(source: Entry, descriptor: int, destination: Entry) -> None:
        if not is_swapped:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FileOperations().link(source, descriptor, destination)

    with open_driver(home, FileOperations(link=link)) as hand:
        hand.step_until(lambda: home.count_statuses() == {status: 1})
        outside = swap_for_link(home, "album")
        is_swapped = True
        hand.time.ahead += 61
        hand.step_until_idle()
        assert [path.name for path in outside.iterdir()] == ["a.jpg"]
    assert home.run_command("run", "--once").returncode in (0, 1)
    assert [path.name for path in outside.iterdir()] == ["a.jpg"]
    assert not [path for path in home.read_files() if path.parts[0] in ("happy", "sad")]


def test_a_photo_is_filed_once_its_folder_is_back(home: Home) -> None:
    home.drop("album/a.jpg", draw_jpeg(1))
    blocked = True

    def link(source: Entry, descriptor: int, destination: Entry) -> None:
        if blocked:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FileOperations().link(source, descriptor, destination)

    with open_driver(home, FileOperations(link=link)) as hand:
        hand.step_until(lambda: home.count_statuses() == {"decided": 1})
        outside = swap_for_link(home, "album")
        blocked = False
        hand.time.ahead += 61
        hand.step_until_idle()
        (home.inbox / "album").unlink()
        outside.rename(home.inbox / "album")
        hand.time.ahead += 61
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_large_file_is_copied_in_several_turns(home: Home) -> None:
    home.drop("large.bin", b"x" * (2 * SLICE_BYTES + 1))
    sizes: list[int] = []

    def read_size() -> bool:
        (*parts,) = home.root.glob("quarantine/.moodsort-*.part")
        sizes.extend(part.stat().st_size for part in parts)
        return home.count_statuses() == {"quarantined": 1}

    with open_driver(home, FileOperations(**separate_mounts())) as hand:
        hand.step_until(read_size)
    assert sizes == [SLICE_BYTES, 2 * SLICE_BYTES]
    home.check_promises()
