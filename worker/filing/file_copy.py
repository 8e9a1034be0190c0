"""Copy between two open files: what is in them, and what the file system says of them."""

import errno
import os
import stat
import sys
from contextlib import suppress

from worker.fileio import suppress_errors

_NOT_IN_KERNEL = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""How copy_file_range(2) and sendfile(2) say that they do not copy between these files, or must not."""

_CHUNK_BYTES = 1 << 20


def copy_range(source: int, target: int, offset: int, count: int) -> int:
    """Copy at most `count` bytes between open files, at the same offset, inside the kernel if it can.

    Returns how many were copied, 0 at the end of the source. Raises OSError.
    """
    if hasattr(os, "copy_file_range"):
        with suppress_errors(*_NOT_IN_KERNEL):
            # Some file systems answer 0 before the end (copy_file_range(2), BUGS): then it is tried below.
            if copied := os.copy_file_range(source, target, count, offset, offset):
                return copied
    if sys.platform == "linux":  # elsewhere sendfile(2) takes only sockets
        with suppress_errors(*_NOT_IN_KERNEL):
            os.lseek(target, offset, os.SEEK_SET)
            return os.sendfile(target, source, offset, count)
    return os.pwrite(target, os.pread(source, min(count, _CHUNK_BYTES), offset), offset)


def copy_attributes(source: int, target: int) -> None:
    """Give an open file the owner, extended attributes, permissions and times of another.

    Those that the other file system or a sandbox refuses are left out.
    """
    status = os.fstat(source)
    # The owner first: chown(2) takes set-user-id bits away.
    with suppress(OSError):
        os.fchown(target, status.st_uid, status.st_gid)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(source):
                with suppress(OSError):
                    os.setxattr(target, name, os.getxattr(source, name))
    with suppress(OSError):
        os.fchmod(target, stat.S_IMODE(status.st_mode))
    with suppress(OSError):
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
