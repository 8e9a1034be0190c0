"""Keep a second worker off an inbox and its database."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from worker.config import Config
from worker.errors import ConfigError, InboxInUse
from worker.fileio import read_lock_holder


@contextmanager
def hold_locks(config: Config) -> Iterator[None]:
    """Hold the inbox and the database for one worker; on a shared database, the inbox for many.

    The locks end with the process, however it ends. Raises InboxInUse naming the process that has one.
    """
    kind = fcntl.LOCK_SH if config.database_file is None else fcntl.LOCK_EX
    with ExitStack() as locks:
        for what, path in config.lock_files.items():
            locks.enter_context(_hold(path, what, kind))
        yield


@contextmanager
def _hold(path: Path, what: str, kind: int) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); check its folder") from error
    try:
        _lock(descriptor, what, kind)
        with suppress(OSError):  # on a full disk the lock holds just as well, without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, what: str, kind: int) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise InboxInUse(
                f"{what} cannot be locked ({error.strerror}); is it on a file system?"
            ) from error
        process = read_lock_holder(descriptor)
        raise InboxInUse(f"{what} is in use by process {process}; stop that worker first") from error
