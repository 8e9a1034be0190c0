"""What the mounts of this machine say of a folder."""

import re
from pathlib import Path

_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How /proc/self/mounts writes a space, a tab, a newline and a backslash (proc_pid_mounts(5))."""

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "9p",
        "afs",
        "ceph",
        "cifs",
        "davfs",
        "fuse.davfs2",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
    }
)
"""Types on which inotify reports no change that another machine makes."""


def is_on_network(folder: Path, mounts: str | None = None) -> bool:
    """Tell whether a folder is on a network file system, by the longest mount point above it.

    `mounts` is the text of /proc/self/mounts; where there is no such file (not on Linux) the answer is no.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return False
    longest_mount, longest_kind = Path(), ""
    for line in mounts.splitlines():
        _, escaped, kind, *_ = line.split(" ")
        mount = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), escaped))
        # "or equal": of two mounts at one point the later hides the earlier.
        if folder.is_relative_to(mount) and len(mount.parts) >= len(longest_mount.parts):
            longest_mount, longest_kind = mount, kind
    return longest_kind in NETWORK_FILE_SYSTEMS
