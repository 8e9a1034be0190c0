"""A child process that some files kill or hang: the words ``KILLS`` and ``HANGS`` in them say so."""

import os
import signal
from typing import Any

from worker.inference import decode
from worker.inference.decode import Picture, decode_photo
from worker.pool import process


def decode_or_die(data: bytes, **limits: Any) -> Picture:
    if b"KILLS" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"HANGS" in data:
        os.kill(os.getpid(), signal.SIGSTOP)  # it does nothing more, and the test can see that it hangs
    return decode_photo(data, **limits)


if __name__ == "__main__":
    decode.decode_photo = decode_or_die  # before the task is loaded, which imports it
    process.main()
