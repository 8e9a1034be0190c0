"""In a child process: read and hash one file after the other, and run the task on it."""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from typing import Generic

from worker.config import Limits
from worker.errors import BadPhoto
from worker.pool.disk_sync import DiskSync
from worker.pool.messages import (
    SLICE_BYTES,
    Declined,
    Digest,
    Done,
    Hash,
    HashProgress,
    Opened,
    Report,
    Syncing,
    Unread,
    Work,
    encode,
    shorten,
)
from worker.pool.photo_file import GONE_ERRORS
from worker.pool.protocol import T

Send = Callable[[Report], None]
"""Sends a message to the parent."""

Sync = Callable[[int], None]
"""Makes the content of a descriptor durable, or raises OSError."""

_READ_BYTES = 1 << 20


class FileGrew(Exception):
    """A file has become larger since it was opened than it was, or than a photo may be."""


class JobRunner(Generic[T]):
    """Runs the task on files, and sends what comes of it."""

    def __init__(self, run: Callable[[bytes], T], limits: Limits, send: Send, sync: Sync = os.fsync) -> None:
        """`run` turns a file's bytes into its result."""
        self._run = run
        self._max_bytes = limits.max_file_bytes
        self._send = send
        self._disk_sync = DiskSync(sync)

    def run(self, job: Work, descriptor: int) -> None:
        """Read and hash a file and run the task on it; close it.

        The file is synced to disk meanwhile, and its result is sent after that.
        """
        started = time.perf_counter()
        # The log will say what these bytes are; after a power cut they must be on the disk as well.
        self._disk_sync.begin(descriptor)
        # A suspect is decoded only then: should it end this process, too, it is refused, and has to be
        # durable by then.
        failure = self._disk_sync.wait() if job.is_suspect else None
        report = self._complete(job, descriptor, started)
        if not job.is_suspect:
            if not self._disk_sync.is_done:
                self._send(Syncing(job.key))
            failure = self._disk_sync.wait()
        os.close(descriptor)
        # Other errors, such as EINVAL and EROFS, come of the file system, not of a disk that fails.
        if failure and failure.errno == errno.EIO:
            report = Unread(job.key, errno.EIO)
        self._send(report)

    def close(self) -> None:
        """End the thread that syncs."""
        self._disk_sync.close()

    def _complete(self, job: Work, descriptor: int, started: float) -> Report:
        try:
            data = _read_all(descriptor, job.size_bytes, self._max_bytes)
        except FileGrew:
            return Unread(job.key, errno.EAGAIN)
        except OSError as error:
            return _make_unread(job.key, error)
        self._send(Opened(job.key, hashlib.sha256(data).hexdigest()))
        try:
            result = self._run(data)
        except BadPhoto as error:
            return Declined(job.key, error.reason, shorten(error.detail))
        return Done(job.key, time.perf_counter() - started, encode(result))


class FileHasher:
    """Hashes a file of any size, a slice at a time, while it is synced to disk."""

    def __init__(self, order: Hash, descriptor: int, sync: Sync = os.fsync) -> None:
        self._key = order.key
        self._descriptor = descriptor
        self._left_bytes = order.size_bytes
        self._hash = hashlib.sha256()
        self._disk_sync = DiskSync(sync)
        self._disk_sync.begin(descriptor)
        self.is_read = False
        self.is_closed = False

    def advance(self) -> Report | None:
        """Hash one slice; return what is to be sent, None while nothing but the disk is waited for."""
        if self.is_read:
            return self._finish() if self._disk_sync.is_done else None
        try:
            self._read_slice()
        except FileGrew:
            self._close()
            return Unread(self._key, errno.EAGAIN)
        except OSError as error:
            self._close()
            return _make_unread(self._key, error)
        return HashProgress(self._key)

    def _read_slice(self) -> None:
        left = SLICE_BYTES  # filled to its end: the parent counts the slices
        while left and not self.is_read:
            data = os.read(self._descriptor, min(left, _READ_BYTES))
            self._hash.update(data)
            self.is_read = not data
            left -= len(data)
            self._left_bytes -= len(data)
            if self._left_bytes < 0:
                raise FileGrew

    def _finish(self) -> Report:
        failure = self._close()
        if failure and failure.errno == errno.EIO:
            return Unread(self._key, errno.EIO)
        return Digest(self._key, self._hash.hexdigest())

    def _close(self) -> OSError | None:
        failure = self._disk_sync.wait()
        self._disk_sync.close()
        os.close(self._descriptor)
        self.is_closed = True
        return failure


def _make_unread(key: int, error: OSError) -> Unread:
    # Some file systems answer so for a file that was removed while it is open; whether it has gone from its
    # path, the parent sees at the next try.
    number = errno.ESTALE if error.errno in GONE_ERRORS else error.errno
    return Unread(key, number or errno.EIO)


def _read_all(descriptor: int, size_bytes: int, max_bytes: int) -> bytes:
    # One byte more than it had, so that one read takes all of it and sees whether it has grown.
    data = os.read(descriptor, size_bytes + 1)
    while part := os.read(descriptor, _READ_BYTES):
        data += part
        if len(data) > max_bytes:
            raise FileGrew
    return data
