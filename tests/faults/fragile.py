"""A classifier process that some files kill or hang: the ``KILLS`` and ``HANGS`` in them say so."""

import os
import signal
from typing import Any

from worker.pool import process

_read_picture = process.read_picture


def read_picture(data: bytes, **limits: Any) -> Any:
    if b"KILLS" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"HANGS" in data:
        signal.pause()
    return _read_picture(data, **limits)


if __name__ == "__main__":
    process.read_picture = read_picture
    process.main()
