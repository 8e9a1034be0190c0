"""Files that are not read are recognised by their first bytes, and raw files by their tags."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import draw_photo, encode_image
from worker.inference.signatures import advise_on_other_file, advise_on_raw_file

ASCII, SHORT, LONG = 2, 3, 4
MAKE, PHOTOMETRIC, SUB_DIRECTORIES, DNG_VERSION = 271, 262, 330, 50706
COLOUR_FILTER_ARRAY, RGB = 32803, 2


def make_tag(order: str, tag: int, *values: int) -> bytes:
    code, kind = ("4B", 1) if tag == DNG_VERSION else ("I", LONG) if tag == SUB_DIRECTORIES else ("H", SHORT)
    packed = struct.pack(f"{order}{code if tag == DNG_VERSION else code * len(values)}", *values)
    return struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")


def build_tiff(*tags: tuple[int, ...], make: bytes = b"", magic: bytes = b"II*\0", sub: int = RGB) -> bytes:
    """Build the directories of a TIFF by hand: the first, and one sub-directory with a photometric tag."""
    order = "<" if magic.startswith(b"II") else ">"
    entries = [make_tag(order, *tag) for tag in tags]
    sub_offset = 64
    make_offset = sub_offset + 18
    entries.append(struct.pack(order + "HHII", MAKE, ASCII, len(make), make_offset))
    entries.append(make_tag(order, SUB_DIRECTORIES, sub_offset))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    sub_directory = struct.pack(order + "H", 1) + make_tag(order, PHOTOMETRIC, sub) + bytes(4)
    head = magic + struct.pack(order + "I", 8) + directory
    return head.ljust(sub_offset, b"\0") + sub_directory + make.ljust(8, b"\0")


def build_zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "content")
    return file.getvalue()


OTHER_FILES = {
    "jxl": (b"\xff\x0a\xfa\x1f", "JPEG XL is not read; save it as JPEG or PNG"),
    "jxl container": (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL is not read"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw file (Canon); export it as JPEG"),
    "raf": (b"FUJIFILMCCD-RAW 0201FF383501X-T3", "raw file (Fujifilm)"),
    "pdf": (b"%PDF-1.7\n%", "it is a PDF document; export its pages as JPEG"),
    "psd": (b"8BPS\0\1", "it is a Photoshop document; export it as JPEG"),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "it is a video"),
    "mov": (b"\0\0\0\x14ftypqt  ", "it is a video"),
    "old mov": (b"\0\0\0\x08wide\0\1\2\3mdat", "it is a video"),
    "mkv": (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1f", "it is a video"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "it is a video"),
    "mpeg": (b"\0\0\x01\xba\x44", "it is a video"),
    "ts": ((b"G" + bytes(187)) * 4, "it is a video"),
    "m2ts": ((bytes(4) + b"G" + bytes(187)) * 4, "it is a video"),
    "wmv": (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "it is a video"),
    "docx": (build_zip("[Content_Types].xml"), "it is an office document"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is an office document"),
    "zip": (build_zip("photo.jpg"), "it is an archive; unpack it"),
    "gzip": (b"\x1f\x8b\x08\0", "it is an archive"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'>", "it is an SVG drawing; export it as PNG"),
    "svg of an editor": (
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg\n width='3'>",
        "it is an SVG drawing",
    ),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_a_file_of_another_kind_is_recognised_by_its_first_bytes(kind: str) -> None:
    data, advice = OTHER_FILES[kind]
    assert advice in (advise_on_other_file(data) or "")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 1000, b"Greetings", b"<html><body><svg ></svg>", b"<?xml version='1.0'?><note/>", b"RIFF"],
)
def test_of_what_is_no_known_kind_nothing_is_said(data: bytes) -> None:
    assert advise_on_other_file(data) is None


@pytest.mark.parametrize(
    ("data", "make"),
    [
        (build_tiff(make=b"NIKON CORPORATION\0", magic=b"MM\0*", sub=COLOUR_FILTER_ARRAY), "Nikon"),
        (build_tiff(make=b"SONY\0", sub=COLOUR_FILTER_ARRAY), "Sony"),
        (build_tiff((PHOTOMETRIC, COLOUR_FILTER_ARRAY), make=b"PENTAX\0", magic=b"MM\0*"), "Pentax"),
        (build_tiff((DNG_VERSION, 1, 4, 0, 0), make=b"Apple\0"), "Apple"),
        (build_tiff(make=b"OLYMPUS IMAGING CORP.\0", magic=b"IIRO"), "Olympus"),
        (build_tiff(make=b"Panasonic\0", magic=b"IIU\0"), "Panasonic"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "of an unnamed camera"),
        (build_tiff(make=b"\x1b[2J\0\0\0\0", sub=COLOUR_FILTER_ARRAY), "of an unnamed camera"),
    ],
    ids=["nef", "arw", "pef", "dng", "orf", "rw2", "cr2", "unprintable make"],
)
def test_a_raw_file_is_recognised_by_what_its_tags_say_of_the_pixels(data: bytes, make: str) -> None:
    assert advise_on_raw_file(data) == f"it is a raw file ({make}); export it as JPEG"


def test_a_tiff_that_a_camera_or_an_editor_made_is_no_raw_file() -> None:
    assert advise_on_raw_file(build_tiff((PHOTOMETRIC, RGB), make=b"NIKON CORPORATION\0")) is None
    assert advise_on_raw_file(encode_image(draw_photo(), "TIFF")) is None


@given(st.sampled_from([b"II*\0", b"MM\0*", b"IIU\0"]), st.binary(max_size=80))
def test_tags_of_any_content_are_survived(magic: bytes, tail: bytes) -> None:
    for data in (magic + tail, magic + b"\x08\0\0\0\1\0" + tail):
        assert (advise_on_raw_file(data) is None) or "raw file" in str(advise_on_raw_file(data))


def test_a_tag_that_names_millions_of_directories_is_read_no_further_than_32() -> None:
    many = struct.pack("<HHII", SUB_DIRECTORIES, LONG, 2_000_000, 26)
    data = b"II*\0\x08\0\0\0\x01\0" + many + bytes(4) + bytes(8_000_000)
    assert advise_on_raw_file(data) is None
