"""A child process: read and hash one file after the other, run the task on it, and send its result."""

import errno
import hashlib
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from io import FileIO
from multiprocessing.connection import Connection
from typing import Generic

from worker.config import Limits
from worker.errors import BadPhoto, BundleError, Reason
from worker.fileio import FileIdentity, identify_file, silence_descriptor
from worker.pool.disk_sync import DiskSync
from worker.pool.protocol import (
    Completed,
    Delayed,
    Gone,
    Job,
    JobResult,
    Opened,
    Ready,
    Refused,
    Setup,
    SourceFile,
    T,
    Unfit,
)

_TRANSIENT_ERRORS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR, errno.EAGAIN}
)
"""Errors that say nothing about the file; EAGAIN is a lease that another program holds for writing."""

_GONE_ERRORS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""Nothing is there, or no regular file: ELOOP is a symbolic link, ENXIO a socket or a FIFO."""

_ORPHAN_FACTOR = 3
"""The parent kills a process after `decode_seconds`; if the parent is dead, SIGALRM does, so much later."""


def main() -> None:
    """Serve the parent at the other end of the connection whose descriptor is the first argument."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to end, by closing the connection
    # Its default ends the process; a handler in Python would have to wait until the decoder returns.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _silence_decoders()
    with Connection(int(sys.argv[1])) as connection:
        try:
            _serve(connection)
        except (EOFError, ConnectionError):
            return  # the parent is dead


def _silence_decoders() -> None:
    # Decoders write a line for every damaged tag, to descriptor 2 and to Python's logging. The traceback of
    # an unexpected error goes to `sys.stderr`, which stays.
    logging.disable()
    sys.stderr = os.fdopen(silence_descriptor(2), "w", buffering=1)


def _serve(connection: Connection) -> None:
    setup: Setup[object] = connection.recv()
    memory = setup.limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # files that crash decoders must not fill the disk
    # Not RLIMIT_AS: address space that is reserved and never written costs nothing (setrlimit(2)).
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        run = setup.task.load(setup.limits)
    except BundleError as error:
        connection.send(Unfit(str(error)))
        return
    with closing(JobRunner(run, setup.limits)) as runner:
        connection.send(Ready())
        while True:
            jobs: list[Job] = connection.recv()
            for job in jobs:
                signal.setitimer(signal.ITIMER_REAL, setup.limits.decode_seconds * _ORPHAN_FACTOR)
                connection.send(runner.run(job, connection))
            # The next batch may be hours away.
            signal.setitimer(signal.ITIMER_REAL, 0)


class JobRunner(Generic[T]):
    """Turns a job into its result."""

    def __init__(
        self, run: Callable[[bytes], T], limits: Limits, sync: Callable[[int], None] = os.fsync
    ) -> None:
        """`run` turns a file's bytes into its result, `sync` makes the content of a descriptor durable."""
        self._run = run
        self._limits = limits
        self._disk_sync = DiskSync(sync)

    def run(self, job: Job, connection: Connection) -> JobResult[T]:
        """Read and hash a file and run the task on it; send `Opened` on the connection before it is decoded.

        The file is synced to disk meanwhile, and the result is returned after that.
        """
        started = time.perf_counter()
        # O_NOFOLLOW: a link could lead to any file of the user's. O_NONBLOCK: a FIFO would wait for a writer.
        try:
            descriptor = os.open(job.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return _translate_error(job, error)
        identity = identify_file(os.fstat(descriptor))
        if identity is None:
            os.close(descriptor)
            return Gone(job.key)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            # The log will say what these bytes are; after a power cut they must be on the disk as well.
            self._disk_sync.begin(file.fileno())
            result = None if job.is_retried else self._complete(job, file, identity, connection, started)
            failure = self._disk_sync.wait()
            # Other errors, such as EINVAL and EROFS, come of the file system, not of a disk that fails.
            if failure and failure.errno == errno.EIO:
                return _translate_error(job, failure)
            # A retried file is decoded only now: should it kill this process, too, it is refused, and has to
            # be durable by then.
            return result or self._complete(job, file, identity, connection, started)

    def close(self) -> None:
        """End the thread that syncs."""
        self._disk_sync.close()

    def _complete(
        self, job: Job, file: FileIO, identity: FileIdentity, connection: Connection, started: float
    ) -> JobResult[T]:
        try:
            data, sha256 = self._read_content(file, identity)
        except OSError as error:
            return _translate_error(job, error)
        source = SourceFile(identity, sha256)
        connection.send(Opened(job.key, source))
        if data is None:
            detail = f"{identity.size_bytes} bytes; limits.max_file_bytes is {self._limits.max_file_bytes}"
            return Refused(job.key, source, Reason.TOO_MANY_BYTES, detail)
        try:
            result = self._run(data)
        except BadPhoto as error:
            return Refused(job.key, source, error.reason, error.detail)
        return Completed(job.key, source, time.perf_counter() - started, result)

    def _read_content(self, file: FileIO, identity: FileIdentity) -> tuple[bytes | None, str]:
        if identity.size_bytes <= self._limits.max_file_bytes:
            data = file.readall()
            return data, hashlib.sha256(data).hexdigest()
        # Hashed in chunks: a file of any size may lie in the inbox.
        return None, hashlib.file_digest(file, "sha256").hexdigest()


def _translate_error(job: Job, error: OSError) -> Refused | Gone | Delayed:
    if error.errno in _GONE_ERRORS:
        return Gone(job.key)
    if error.errno in _TRANSIENT_ERRORS:
        return Delayed(job.key, f"it cannot be read now: {error.strerror}")
    return Refused(job.key, None, Reason.UNREADABLE, f"it cannot be read: {error.strerror}")


if __name__ == "__main__":
    main()
