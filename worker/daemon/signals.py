"""What the operating system asks of a worker: to stop, or to read its configuration again."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class Signals:
    """SIGTERM and SIGINT ask to stop, SIGHUP to reload; a descriptor tells a waiting loop."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.reload_asked = False
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when a signal has come."""
        return self._read

    def clear(self) -> None:
        """Make the descriptor wait again."""
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def take_reload(self) -> bool:
        """Tell once whether a reload was asked for."""
        asked, self.reload_asked = self.reload_asked, False
        return asked

    @contextmanager
    def installed(self) -> Iterator["Signals"]:
        """Hear signals until the context ends, then give the handlers back."""
        handlers: dict[signal.Signals, Handler] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload,
            # A writer that comes while the inbox asks after writers makes the kernel send this one.
            signal.SIGIO: signal.SIG_IGN,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield self
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._read)
            os.close(self._write)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self.reload_asked = True
