"""A classifier process: read, hash, decode and judge one file after the other, and report each at once."""

import errno
import hashlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from io import FileIO
from multiprocessing.connection import Connection
from pathlib import Path

from worker.errors import BadPhoto, BundleError, Reason
from worker.fileio import Identity, identity_of
from worker.inference.bundle import load_bundle
from worker.inference.decode import read_picture
from worker.inference.predictor import Judge
from worker.pool.disk_sync import Syncing
from worker.pool.protocol import (
    Delayed,
    FileRead,
    Gone,
    Job,
    Judged,
    Opened,
    Outcome,
    Ready,
    Refused,
    Setup,
    Unfit,
)

_PASSING = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR, errno.EAGAIN}
)
"""Causes that say nothing about the file; EAGAIN is a lease that another program holds for writing."""

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""Nothing there, or no regular file any more: ELOOP is a symbolic link, ENXIO a socket or a FIFO."""

_ORPHAN_FACTOR = 3
"""The worker ends a process that overruns its time; one whose worker is dead ends itself, later."""


def main() -> None:
    """Serve the worker at the other end of the connection whose descriptor is the first argument."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the worker says when to end: by closing the connection
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _silence_decoders()
    with Connection(int(sys.argv[1])) as connection:
        try:
            _serve(connection)
        except (EOFError, ConnectionError):
            return  # the worker has gone


def _silence_decoders() -> None:
    # Decoders write a line for every damaged tag, to descriptor 2 and to Python's logging; what Python
    # itself has to say when it ends by an error still gets out.
    logging.disable()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def _serve(connection: Connection) -> None:
    setup: Setup = connection.recv()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (setup.memory_bytes, setup.memory_bytes))
    try:
        bundle = load_bundle(setup.bundle_folder)
        judge = Judge(bundle)
        judge.self_test()
    except BundleError as error:
        connection.send(Unfit(str(error)))
        return
    with closing(Reader(setup, judge, bundle.manifest.working_side)) as reader:
        connection.send(Ready())
        while True:
            jobs: list[Job] = connection.recv()
            for job in jobs:
                signal.setitimer(signal.ITIMER_REAL, setup.decode_seconds * _ORPHAN_FACTOR)
                connection.send(reader.outcome(job, connection))
            signal.setitimer(signal.ITIMER_REAL, 0)


class Reader:
    """Turns a job into its outcome."""

    def __init__(
        self,
        setup: Setup,
        judge: Judge,
        working_side: int,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        """`sync` makes the content of a descriptor durable."""
        self._setup = setup
        self._syncing = Syncing(sync)
        self._judge = judge
        self._working_side = working_side

    def outcome(self, job: Job, connection: Connection) -> Outcome:
        """Read, hash and judge one file; say `Opened` on the connection before it is decoded.

        Its content is made durable meanwhile; the outcome comes back when it is.
        """
        try:
            descriptor = os.open(job.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return _refused_by_system(job, error)
        identity = identity_of(os.fstat(descriptor))
        if identity is None:
            os.close(descriptor)
            return Gone(job.key)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            # The log is about to vouch for these bytes; after a power cut they have to be there as well.
            self._syncing.begin(file.fileno())
            outcome = None if job.is_retried else self._read(job, file, identity, connection)
            failure = self._syncing.end()
            if failure and failure.errno == errno.EIO:
                return _refused_by_system(job, failure)
            # A retried file is read only now: if it kills this process, too, no outcome of it is waited for.
            return outcome or self._read(job, file, identity, connection)

    def close(self) -> None:
        """End the thread that waits for the disk."""
        self._syncing.close()

    def _read(self, job: Job, file: FileIO, identity: Identity, connection: Connection) -> Outcome:
        try:
            data, sha256 = self._content(file, identity)
        except OSError as error:
            return _refused_by_system(job, error)
        read = FileRead(identity, sha256)
        connection.send(Opened(job.key, read))
        if data is None:
            found = f"{identity.size_bytes} bytes; limits.max_file_bytes is {self._setup.max_file_bytes}"
            return Refused(job.key, read, Reason.TOO_MANY_BYTES, found)
        return self._judged(job, read, data)

    def _content(self, file: FileIO, identity: Identity) -> tuple[bytes | None, str]:
        if identity.size_bytes <= self._setup.max_file_bytes:
            data = file.readall()
            return data, hashlib.sha256(data).hexdigest()
        return None, hashlib.file_digest(file, "sha256").hexdigest()

    def _judged(self, job: Job, read: FileRead, data: bytes) -> Outcome:
        try:
            picture = read_picture(data, max_pixels=self._setup.max_pixels, working_side=self._working_side)
        except BadPhoto as bad:
            return Refused(job.key, read, bad.reason, bad.detail)
        verdict = self._judge.judge(picture)
        return Judged(job.key, read, picture.width, picture.height, verdict)


def _refused_by_system(job: Job, error: OSError) -> Outcome:
    if error.errno in _GONE:
        return Gone(job.key)
    if error.errno in _PASSING:
        return Delayed(job.key, f"it cannot be read now: {error.strerror}")
    return Refused(job.key, None, Reason.UNREADABLE, f"it cannot be read: {error.strerror}")


if __name__ == "__main__":
    main()
