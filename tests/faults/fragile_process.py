"""A child process that some files kill or hang: the words ``KILLS`` and ``HANGS`` in them say so."""

import ctypes
import time
from typing import Any

from worker.inference import decode
from worker.inference.decode import Picture, decode_photo
from worker.pool import process


def decode_or_die(data: bytes, **limits: Any) -> Picture:
    if b"KILLS" in data:
        ctypes.string_at(0)
    if b"HANGS" in data:
        time.sleep(3600)
    return decode_photo(data, **limits)


if __name__ == "__main__":
    decode.decode_photo = decode_or_die  # before the task is loaded, which imports it
    process.main()
