"""A child process: load the task, give up every right that it needs no more, and serve the parent."""

import errno
import logging
import os
import resource
import select
import signal
import sys
import traceback
from collections import deque
from contextlib import closing
from pathlib import PurePath
from typing import TextIO

from worker.config import Limits
from worker.errors import BundleError
from worker.fileio import silence_descriptor
from worker.pool.channel import ChildChannel
from worker.pool.jail import enter_jail, follow_parent
from worker.pool.job_runner import FileHasher, JobRunner
from worker.pool.messages import (
    Failure,
    Hash,
    Ready,
    Report,
    Unfit,
    Unread,
    Work,
    decode_begin,
    decode_order,
    encode,
    load_task,
    shorten,
)

_ORPHAN_FACTOR = 3
"""The parent ends a process after `decode_seconds` of processor time; where it cannot, SIGPROF does."""

_DISK_SECONDS = 0.1
"""How often to look whether a hashed file is on the disk."""


def main() -> None:
    """Serve the parent at the other end of the connection whose descriptor is the first argument."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to end, by closing the connection
    startup_stderr = _silence_decoders()
    with ChildChannel(int(sys.argv[1])) as channel:
        try:
            _serve(channel, startup_stderr)
        except (EOFError, ConnectionError):
            return  # the parent is dead


def _silence_decoders() -> TextIO:
    # Decoders write a line for every damaged tag, to descriptor 2 and to Python's logging. The traceback of
    # an error at the start goes to `sys.stderr`, which is returned.
    logging.disable()
    sys.stderr = os.fdopen(silence_descriptor(2), "w", buffering=1)
    return sys.stderr


def _serve(channel: ChildChannel, startup_stderr: TextIO) -> None:
    follow_parent()
    data, _ = channel.receive()
    begin = decode_begin(data)
    memory = begin.limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # files that crash decoders must not fill the disk
    # Not RLIMIT_AS: address space that is reserved and never written costs nothing (setrlimit(2)).
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    def send(report: Report) -> None:
        channel.send(encode(report))

    try:
        run = load_task(begin).load(begin.limits)
    except BundleError as error:
        send(Unfit(shorten(str(error))))
        return
    sys.stderr = sys.__stderr__
    startup_stderr.close()  # a file that takes the process over must not write to the parent's log
    jail = enter_jail()
    with closing(JobRunner(run, begin.limits, send)) as runner:
        send(Ready(jail))
        try:
            _Service(channel, runner, begin.limits).run()
        except (EOFError, ConnectionError):
            raise
        except BaseException as error:
            send(Failure(shorten(_describe_error(error))))
            raise


def _describe_error(error: BaseException) -> str:
    """Name an error and the lines that it came through, the innermost first."""
    # Not by `traceback.format_exception`, which reads the source.
    name = type(error).__name__
    frames = [
        f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return f"{f'{name}: {error}' if str(error) else name} ({', '.join(reversed(frames))})"


class _Service:
    """Does what the parent asks for: photos at once, hashes of large files a slice at a time in between."""

    def __init__(self, channel: ChildChannel, runner: JobRunner[object], limits: Limits) -> None:
        self._channel = channel
        self._runner = runner
        self._cpu_seconds = limits.decode_seconds * _ORPHAN_FACTOR
        self._hashers: deque[FileHasher] = deque()

    def run(self) -> None:
        """Serve until the parent closes the connection, which raises EOFError."""
        while True:
            if not self._hashers or self._has_order():
                self._take_order()
            if self._hashers:
                self._advance_hash()

    def _has_order(self) -> bool:
        is_waiting = all(hasher.is_read for hasher in self._hashers)
        readable, _, _ = select.select([self._channel], [], [], _DISK_SECONDS if is_waiting else 0)
        return bool(readable)

    def _take_order(self) -> None:
        data, descriptor = self._channel.receive()
        order = decode_order(data)
        if descriptor is None:
            # The system could not give this process one more descriptor (unix(7), MSG_CTRUNC).
            self._send(Unread(order.key, errno.EMFILE))
            return
        match order:
            case Work():
                signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)
                self._runner.run(order, descriptor)
                signal.setitimer(signal.ITIMER_PROF, 0)
            case Hash():
                self._hashers.append(FileHasher(order, descriptor))

    def _advance_hash(self) -> None:
        hasher = self._hashers.popleft()
        report = hasher.advance()
        if report is not None:
            self._send(report)
        if not hasher.is_closed:
            self._hashers.append(hasher)

    def _send(self, report: Report) -> None:
        self._channel.send(encode(report))


if __name__ == "__main__":
    main()
