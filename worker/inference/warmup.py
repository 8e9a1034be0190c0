"""Have the decoders load all that they load on first use, before a process may open no file any more."""

import io
from contextlib import suppress

from PIL import Image

from worker.errors import BadPhoto
from worker.inference.decode import FORMATS, decode_photo

_SIDE = 16


def warm_up_decoders() -> None:
    """Decode a small picture of each format, and what is none."""
    # Pillow imports the plug-ins of other formats only when it meets a file that is none of ours.
    Image.init()
    # And its colour management with the first picture in this mode, which TIFFs may have.
    Image.new("LAB", (1, 1)).convert("RGB")
    image = Image.new("RGB", (_SIDE, _SIDE), "grey")
    for format_name in FORMATS:
        _try_to_decode(_encode(image, format_name))
    _try_to_decode(b"no picture")


def _encode(image: Image.Image, format_name: str | None) -> bytes:
    output = io.BytesIO()
    # A Pillow that was built without this encoder may have no decoder either.
    with suppress(OSError, KeyError, ValueError, RuntimeError):
        image.save(output, format_name)
    return output.getvalue()


def _try_to_decode(data: bytes) -> None:
    with suppress(BadPhoto):
        decode_photo(data, max_pixels=_SIDE * _SIDE, max_side=_SIDE // 2)
