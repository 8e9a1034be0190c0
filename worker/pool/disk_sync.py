"""Sync a file to disk while it is being decoded."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


class DiskSync:
    """A thread that syncs one file at a time, while its owner works on.

    Not an executor: its futures take twice the processor time, for every photo.
    """

    def __init__(self, sync: Callable[[int], None]) -> None:
        """`sync` makes the content of a descriptor durable, or raises OSError."""
        self._sync = sync
        self._requests: SimpleQueue[int | None] = SimpleQueue()
        self._replies: SimpleQueue[OSError | None] = SimpleQueue()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def begin(self, descriptor: int) -> None:
        """Begin with a file; call `wait` before the next one, and before the descriptor is closed."""
        self._requests.put(descriptor)

    @property
    def is_done(self) -> bool:
        """Whether `wait` would return at once."""
        return not self._replies.empty()

    def wait(self) -> OSError | None:
        """Wait until the file is durable; return None, or the error that keeps it from being so."""
        return self._replies.get()

    def close(self) -> None:
        """End the thread."""
        self._requests.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (descriptor := self._requests.get()) is not None:
            try:
                self._sync(descriptor)
            except OSError as error:
                self._replies.put(error)
            else:
                self._replies.put(None)
