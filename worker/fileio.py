"""Tell whether a path still holds the very file, unchanged, that was looked at before."""

import os
import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A regular file at one moment: any write, rename-over or link changes one of these.

    `changed_ns` is the ctime; mtime is left out because programs set it to the past.
    """

    device: int
    inode: int
    size_bytes: int
    changed_ns: int

    def is_same_file(self, other: "Identity") -> bool:
        """Tell whether both are one inode, whatever has been written to it in between."""
        return (self.device, self.inode) == (other.device, other.inode)


def identity_of(found: os.stat_result) -> Identity | None:
    """Return the identity of a regular file, or None for anything else."""
    if not stat.S_ISREG(found.st_mode):
        return None
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)
