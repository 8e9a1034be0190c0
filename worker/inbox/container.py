"""Tell from a few bytes of a file whether it ends where its container says that it ends."""

from collections.abc import Callable

ReadBytes = Callable[[int, int], bytes]
"""Returns the bytes at an offset, as many as asked for; fewer where the file ends before."""

_HEAD_BYTES = 12
_MAX_PARTS = 1024
"""More segments or boxes than a photo has; each costs one read. ICC profiles alone may take 255 segments."""

_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_GIF_END = b"\0\x3b"
"""The terminator of the last image's blocks, then the trailer (GIF89a, sections 16 and 27)."""

_PICTURE_BOXES = {b"meta", b"mdat"}
"""What a HEIC or AVIF consists of beside its ftyp box, in either order (ISO/IEC 14496-12 and 23008-12)."""


def is_complete(size_bytes: int, read: ReadBytes) -> bool:
    """Tell whether a file of this size ends exactly where its container says, as a whole photo does.

    False for what does not say where it ends, as TIFF, and for what has more bytes after its end. Of a file
    that was cut off the answer may be wrong only where it was cut between two pictures: after the first of a
    JPEG that holds several, or by chance after bytes of a PNG or GIF that look like its end.
    """
    head = read(0, _HEAD_BYTES)
    if head.startswith(b"\xff\xd8\xff"):
        return _is_complete_jpeg(size_bytes, read)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _ends_with(_PNG_END, size_bytes, read)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _ends_with(_GIF_END, size_bytes, read)
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return _read_little_endian(head[4:8]) + 8 == size_bytes
    if head.startswith(b"BM"):
        return _read_little_endian(head[2:6]) == size_bytes
    if head[4:8] == b"ftyp":
        return _is_complete_heif(size_bytes, read)
    return False


def _is_complete_jpeg(size_bytes: int, read: ReadBytes) -> bool:
    # The segments are walked first: a thumbnail among them is a JPEG with an end of its own.
    scan = _find_scan(read)
    return scan is not None and size_bytes > scan and _ends_with(_JPEG_END, size_bytes, read)


def _find_scan(read: ReadBytes) -> int | None:
    """Return where the compressed data of a JPEG begins, None where the file ends before (T.81, annex B)."""
    offset = 2
    for _ in range(_MAX_PARTS):
        segment = read(offset, 4)
        if len(segment) < 4 or segment[0] != 0xFF:
            return None
        if segment[1] == 0xFF:  # a fill byte
            offset += 1
            continue
        offset += 2 + int.from_bytes(segment[2:])
        if segment[1] == _JPEG_START_OF_SCAN:
            return offset
    return None


def _is_complete_heif(size_bytes: int, read: ReadBytes) -> bool:
    kinds = set()
    offset = 0
    for _ in range(_MAX_PARTS):
        box = read(offset, 16)
        length = _measure_box(box)
        if length is None:
            return False
        kinds.add(box[4:8])
        offset += length
        if offset >= size_bytes:
            return offset == size_bytes and kinds >= _PICTURE_BOXES
    return False


def _measure_box(box: bytes) -> int | None:
    """Return the length of a box from its first 16 bytes, None where it extends to the end of the file."""
    length, header_bytes = int.from_bytes(box[:4]), 8
    if length == 1:  # a length of 64 bits follows
        length, header_bytes = int.from_bytes(box[8:16]), 16
    return length if length >= header_bytes and len(box) >= header_bytes else None


def _ends_with(end: bytes, size_bytes: int, read: ReadBytes) -> bool:
    return size_bytes > len(end) and read(size_bytes - len(end), len(end)) == end


def _read_little_endian(data: bytes) -> int:
    return int.from_bytes(data, "little")
