"""Keep a second worker off an inbox and its database."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from worker.config import Config
from worker.errors import ConfigError, InboxInUse
from worker.fileio import read_lock_holder


def hold_locks(config: Config) -> AbstractContextManager[None]:
    """Hold the inbox and the database for one worker; on a shared database, the inbox for many.

    The locks end with the process, however it ends. Raises InboxInUse, which names the process that holds
    one, and ConfigError where a lock file cannot be written.
    """
    # Workers that share a server's database share the inbox as well: the server hands out the photos.
    return _hold_locks(config, fcntl.LOCK_SH if config.database_file is None else fcntl.LOCK_EX)


def keep_workers_off(config: Config) -> AbstractContextManager[None]:
    """Hold the inbox and the database for something during which no worker of this machine may run.

    Raises as `hold_locks`.
    """
    return _hold_locks(config, fcntl.LOCK_EX)


@contextmanager
def _hold_locks(config: Config, kind: int) -> Iterator[None]:
    with ExitStack() as locks:
        for subject, path in config.lock_files.items():
            locks.enter_context(_hold_lock(path, subject, kind))
        yield


@contextmanager
def _hold_lock(path: Path, subject: str, kind: int) -> Iterator[None]:
    try:
        # Not O_TRUNC: a worker that is refused still has to read the id of the one that holds the lock.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); check its folder") from error
    try:
        _lock(descriptor, subject, kind)
        with suppress(OSError):  # on a full disk the lock holds as well; its holder is unknown then
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # Not unlinked: a worker that has it open already would lock a file that later ones do not see.
        os.close(descriptor)


def _lock(descriptor: int, subject: str, kind: int) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise InboxInUse(
                f"{subject} cannot be locked ({error.strerror}); put it on a file system that has locks"
            ) from error
        process = read_lock_holder(descriptor)
        raise InboxInUse(f"{subject} is in use by process {process}; stop that worker first") from error
