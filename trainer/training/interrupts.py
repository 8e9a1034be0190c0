"""Hold an interrupt back while TensorFlow is at work."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Hold SIGINT back during the body, and raise KeyboardInterrupt at its end where there was one.

    An exception that rises in the middle of a TensorFlow call now and then corrupts its memory, and the
    process ends by a signal instead of a message. A second SIGINT acts at once: a call may hang. Does nothing
    outside the main thread, which alone sees signals, and where SIGINT is ignored.
    """
    earlier = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or not callable(earlier):
        yield
        return
    interrupted = False

    def hold(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, earlier)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
    if interrupted:
        raise KeyboardInterrupt
