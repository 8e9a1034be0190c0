"""Whether a file ends where its container says: whole files of each format, cut and lengthened ones."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import draw_jpeg, draw_noise, draw_photo, encode_image, encode_rotated
from worker.inbox.container import is_complete


def encode_jpeg_with_thumbnail() -> bytes:
    """Encode a JPEG whose APP1 segment holds another whole JPEG, as those of cameras do."""
    body = b"Exif\0\0" + draw_jpeg(2, (24, 16))
    photo = draw_jpeg(1)
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + photo[2:]


def build_box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def build_large_box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body


FTYP = build_box(b"ftyp", b"heic\0\0\0\0mif1heic")
META = build_box(b"meta", bytes(range(100)))

WHOLE = {
    "jpeg": encode_image(draw_noise(1), "JPEG"),
    "progressive": encode_image(draw_noise(1), "JPEG", progressive=True),
    "exif": encode_rotated(draw_photo(1), 6, "JPEG"),
    "thumbnail": encode_jpeg_with_thumbnail(),
    "fill-bytes": draw_jpeg(1)[:2] + b"\xff\xff\xff" + draw_jpeg(1)[2:],
    "png": encode_image(draw_noise(1), "PNG"),
    "webp": encode_image(draw_noise(1), "WEBP"),
    "lossless": encode_image(draw_noise(1), "WEBP", lossless=True),
    "bmp": encode_image(draw_noise(1), "BMP"),
    "gif": encode_image(draw_photo(1, (24, 16)), "GIF"),
    "heic": encode_image(draw_noise(1), "HEIF"),
    "avif": encode_image(draw_noise(1), "AVIF"),
    "data-first": FTYP + build_box(b"mdat", bytes(300)) + META,
    "large-box": FTYP + META + build_large_box(b"mdat", bytes(300)),
}
UNDECIDABLE = {
    "empty": b"",
    "text": b"this is no picture at all\n" * 9,
    "tiff": encode_image(draw_photo(1), "TIFF"),
    "open-ended": FTYP + META + struct.pack(">I", 0) + b"mdat" + bytes(300),
    "no-pixels": FTYP + META,
    "movie": FTYP + build_box(b"mdat", bytes(300)) + build_box(b"moov", bytes(90)),
    "box-of-no-length": FTYP + META + struct.pack(">I", 4) + b"mdat",
    "jpeg-of-two-bytes": b"\xff\xd8",
    "jpeg-without-scan": b"\xff\xd8\xff\xe0\x00\x04\0\0\xff\xd9",
    "webp-header": b"RIFF\x04\0\0\0WAVE",
}


class File:
    """Bytes that are read in pieces, which it counts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        data = self.data[offset : offset + length]
        self.bytes_read += len(data)
        return data


def check(data: bytes) -> bool:
    return is_complete(len(data), File(data).read)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_photo_is_complete(name: str) -> None:
    assert check(WHOLE[name])


@pytest.mark.parametrize("name", WHOLE)
def test_a_photo_is_not_complete_wherever_it_is_cut_off(name: str) -> None:
    data = WHOLE[name]
    assert [length for length in range(len(data)) if check(data[:length])] == []


@given(st.sampled_from(sorted(WHOLE)), st.binary(min_size=1, max_size=40))
def test_a_photo_with_bytes_after_its_end_is_not_complete(name: str, tail: bytes) -> None:
    has_own_end = name in ("png", "gif") or WHOLE[name].endswith(b"\xff\xd9")
    if not (has_own_end and tail.endswith((b"\xff\xd9", b"\0\x3b"))):
        assert not check(WHOLE[name] + tail)


@pytest.mark.parametrize("name", UNDECIDABLE)
def test_a_file_that_does_not_say_where_it_ends_is_not_complete(name: str) -> None:
    assert not check(UNDECIDABLE[name])


@given(st.sampled_from([*WHOLE.values(), *UNDECIDABLE.values()]), st.data())
def test_no_damage_fails_or_reads_much(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    for position in draw.draw(st.lists(st.integers(0, max(0, min(len(data), 600) - 1)), max_size=8)):
        if position < len(changed):
            changed[position] = draw.draw(st.integers(0, 255))
    file = File(bytes(changed))
    is_complete(len(changed), file.read)
    assert file.bytes_read <= 16 * 1024 + 64


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff", b"\0\0\0\x18ftyp", b"GIF89a", b"RIFF", b"BM", b"\x89PNG\r\n\x1a\n"):
        check(start + data)


def test_a_chain_of_too_many_boxes_is_given_up() -> None:
    file = File(FTYP + META + build_box(b"mdat", b"") * 5000)
    assert not is_complete(len(file.data), file.read)
    assert file.bytes_read < 20_000


def test_a_large_photo_is_read_at_its_ends_alone() -> None:
    file = File(b"\x89PNG\r\n\x1a\n" + bytes(10**6) + WHOLE["png"][-12:])
    assert is_complete(len(file.data), file.read)
    assert file.bytes_read < 100
