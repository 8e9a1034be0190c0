"""Make a file's content durable while something else is done with it."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


class DiskSync:
    """A thread that waits for the disk. Futures would do it too, and take twice as much of the processor."""

    def __init__(self, sync: Callable[[int], None]) -> None:
        """`sync` makes the content of a descriptor durable, or raises OSError."""
        self._sync = sync
        self._requests: SimpleQueue[int | None] = SimpleQueue()
        self._replies: SimpleQueue[OSError | None] = SimpleQueue()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def begin(self, descriptor: int) -> None:
        """Begin with a file; `wait` comes before the next, and before the descriptor is closed."""
        self._requests.put(descriptor)

    def wait(self) -> OSError | None:
        """Wait for the file that was begun with; return why it is not durable, None where it is."""
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
