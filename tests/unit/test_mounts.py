"""Which file systems are polled."""

from pathlib import Path

import pytest

from worker.mounts import is_on_network

MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
nas:/photos /mnt/nas nfs4 rw 0 0
//nas/share /mnt/two\040words cifs rw 0 0
//nas/share /mnt/größe cifs rw 0 0
/dev/sdb1 /mnt/nas/local ext4 rw 0 0
me@host: /mnt/ssh fuse.sshfs rw 0 0
/dev/sdc1 /mnt/stick fuseblk rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/me/inbox", False),
        ("/mnt/nas", True),
        ("/mnt/nas/inbox", True),
        ("/mnt/nasty/inbox", False),
        ("/mnt/nas/local/inbox", False),
        ("/mnt/two words/inbox", True),
        ("/mnt/größe/inbox", True),
        ("/mnt/ssh/inbox", True),
        ("/mnt/stick/inbox", False),
    ],
)
def test_a_folder_is_on_the_network_where_its_nearest_mount_is(folder: str, expected: bool) -> None:
    assert is_on_network(Path(folder), MOUNTS) is expected


def test_of_two_mounts_at_one_point_the_later_counts() -> None:
    mounts = "nas:/a /mnt/a nfs rw 0 0\n/dev/sdd1 /mnt/a ext4 rw 0 0\n"
    assert not is_on_network(Path("/mnt/a/inbox"), mounts)
