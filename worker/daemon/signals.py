"""The signals that ask a worker to stop, or to read its configuration again."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from worker.fileio import Wakeup

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class Signals:
    """SIGTERM and SIGINT ask to stop, SIGHUP to reload; a descriptor wakes a waiting loop."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.reload_asked = False
        self._wakeup = Wakeup()

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when a signal has come."""
        return self._wakeup.fileno()

    def clear(self) -> None:
        """Make the descriptor unreadable again."""
        self._wakeup.clear()

    def take_reload(self) -> bool:
        """Tell whether a reload was asked for, and forget it."""
        is_asked, self.reload_asked = self.reload_asked, False
        return is_asked

    @contextmanager
    def install(self) -> Iterator["Signals"]:
        """Handle signals until the context ends, then put the handlers back that were there before."""
        handlers: dict[signal.Signals, Handler] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload,
        }
        earlier = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        # A full pipe is readable, so that a byte that finds no room in it is not missed.
        earlier_descriptor = signal.set_wakeup_fd(self._wakeup.write_descriptor, warn_on_full_buffer=False)
        try:
            with ignore_lease_breaks():
                yield self
        finally:
            # Before the pipe is closed: its number may be another file's by then.
            signal.set_wakeup_fd(earlier_descriptor)
            for number, handler in earlier.items():
                signal.signal(number, handler)
            self._wakeup.close()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self.reload_asked = True


@contextmanager
def ignore_lease_breaks() -> Iterator[None]:
    """Ignore SIGIO, which would end the process, while files of the inbox are inspected.

    An inspection asks for writers by taking a lease; the kernel reports by this signal one that comes then.
    """
    earlier = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGIO, earlier)
