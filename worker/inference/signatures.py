"""Recognise common kinds of files that are not read, by their content, and say what to do with them."""

import re
import struct
from collections.abc import Iterator

_RAW = "it is a raw file ({}); export it as JPEG"
_VIDEO = "it is a video; save a picture from it as JPEG"
_OFFICE = "it is an office document; export its pages or pictures as JPEG"
_ARCHIVE = "it is an archive; unpack it"
_DRAWING = "it is an SVG drawing; export it as PNG"

_SIGNATURES = (
    # JPEG XL, a bare codestream or its container: ISO/IEC 18181-2.
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL is not read; save it as JPEG or PNG"),
    # CR3 (github.com/lclevy/canon_cr3), CRW, RAF, X3F, MRW: as in libmagic's magic/Magdir/images.
    (rb"....ftypcrx |II\x1a\0\0\0HEAPCCDR", _RAW.format("Canon")),
    (rb"FUJIFILMCCD-RAW ", _RAW.format("Fujifilm")),
    (rb"FOVb", _RAW.format("Sigma")),
    (rb"\0MRM", _RAW.format("Minolta")),
    # ISO 32000-1, 7.5.2; Adobe Photoshop File Formats Specification.
    (rb"%PDF-", "it is a PDF document; export its pages as JPEG"),
    (rb"8BPS", "it is a Photoshop document; export it as JPEG"),
    # MP4 and MOV by their first box (ISO/IEC 14496-12; QuickTime File Format), Matroska and WebM (RFC 8794).
    (rb"....(?:ftyp|moov|mdat|wide|free|skip|pnot)|\x1aE\xdf\xa3", _VIDEO),
    # AVI, MPEG program and video streams (ISO/IEC 13818-1, -2), WMV (Advanced Systems Format), Flash.
    (rb"RIFF....AVI |\0\0\x01[\xba\xb3]|0&\xb2u\x8ef\xcf\x11|FLV\x01", _VIDEO),
    # MPEG transport streams, packets of 188 bytes, on camcorders after a time stamp of 4 (ISO/IEC 13818-1).
    (rb"(?:G.{187}){3}G|(?:.{4}G.{187}){3}.{4}G", _VIDEO),
    # What comes first in Office Open XML and OpenDocument; older documents of Microsoft's ([MS-CFB], 2.2).
    (rb"PK\x03\x04.{26}(?:\[Content_Types\]|_rels/|docProps/|mimetypeapplication/vnd\.oasis)", _OFFICE),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE),
    # ZIP (APPNOTE.TXT, 4.3), RAR, 7z, gzip (RFC 1952).
    (rb"PK(?:\x03\x04|\x05\x06)|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08", _ARCHIVE),
    # SVG: declarations and comments may come before the root (XML 1.0, 2.8).
    (rb"(?:\xef\xbb\xbf)?\s*+<(?:svg\s|(?:\?xml|!--|!DOCTYPE svg).{0,4096}<svg\s)", _DRAWING),
)
"""How files of each kind begin."""

_ADVICE = tuple((re.compile(pattern, re.DOTALL), advice) for pattern, advice in _SIGNATURES)

_TIFF_LIKE = re.compile(rb"II[*U]\0|MM\0\*|IIR[OS]|MMOR")
"""TIFF, and what differs from it by these bytes alone: raw files of Panasonic, Leica and Olympus."""

_RAW_MARKS = (b"CR\x02", b"IIII", b"MMMM")
"""At byte 8 in TIFFs of Canon (CR2) and Phase One (IIQ)."""

_MARK_OFFSET = 8
_PHOTOMETRIC, _MAKE, _SUB_DIRECTORIES, _DNG_VERSION = _TAGS = (262, 271, 330, 50706)
_SENSOR_PIXELS = frozenset({32803, 34892})
"""Photometric interpretations: colour filter array (ISO 12234-2) and LinearRaw (DNG 1.6)."""

_VALUE_CODES = {2: "s", 3: "H", 4: "I", 13: "I"}
"""Of ASCII, SHORT, LONG and IFD (TIFF 6.0, and its supplement 1), in the notation of `struct`."""

_MAX_VALUES = 32
"""Of one tag that are read: letters of a make, sub-directories."""

_Value = tuple[int | bytes, ...]


def advise_on_raw_file(data: bytes) -> str | None:
    """Say what to do with a raw file that is built like a TIFF, as CR2, DNG, NEF and ARW; None of others.

    What a reader of TIFFs shows of such a file is at best its thumbnail.
    """
    if not _TIFF_LIKE.match(data):
        return None
    directories = list(_read_directories(data))
    is_plain = b"*" in data[2:4] and not data.startswith(_RAW_MARKS, _MARK_OFFSET)
    if is_plain and not any(map(_describes_raw_pixels, directories)):
        return None
    return _RAW.format(_name_make(directories))


def advise_on_other_file(data: bytes) -> str | None:
    """Say what to do with a video, a document, or a picture of a kind that is not read; None of others."""
    return next((advice for pattern, advice in _ADVICE if pattern.match(data)), None)


def _read_directories(data: bytes) -> Iterator[dict[int, _Value]]:
    """Yield the tags of the first directory of a TIFF, and of the sub-directories that it names."""
    order = "<" if data.startswith(b"II") else ">"
    try:
        (offset,) = struct.unpack_from(order + "I", data, 4)
        first = _read_tags(data, order, offset)
        yield first
        for value in first.get(_SUB_DIRECTORIES, ()):
            if isinstance(value, int):
                yield _read_tags(data, order, value)
    except struct.error:  # cut off: the decoder has its say
        return


def _read_tags(data: bytes, order: str, offset: int) -> dict[int, _Value]:
    (count,) = struct.unpack_from(order + "H", data, offset)
    entries = struct.iter_unpack(order + "HHI4s", data[offset + 2 : offset + 2 + 12 * count])
    return {
        tag: _read_value(data, order, kind, length, inline)
        for tag, kind, length, inline in entries
        if tag in _TAGS
    }


def _read_value(data: bytes, order: str, kind: int, length: int, inline: bytes) -> _Value:
    code = _VALUE_CODES.get(kind, "s")
    layout = f"{order}{min(length, _MAX_VALUES)}{code}"
    if length * struct.calcsize(code) <= len(inline):
        return struct.unpack_from(layout, inline)
    (offset,) = struct.unpack(order + "I", inline)
    return struct.unpack_from(layout, data, offset)


def _describes_raw_pixels(tags: dict[int, _Value]) -> bool:
    return _DNG_VERSION in tags or not _SENSOR_PIXELS.isdisjoint(tags.get(_PHOTOMETRIC, ()))


def _name_make(directories: list[dict[int, _Value]]) -> str:
    """Return the first word of the camera's make, as "Nikon" of "NIKON CORPORATION"."""
    for make in (make for tags in directories for make in tags.get(_MAKE, ())):
        if isinstance(make, bytes) and (word := re.match(rb"[A-Za-z]{2,20}", make)):
            return word[0].decode().capitalize()
    return "of an unnamed camera"
