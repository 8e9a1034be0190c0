"""Decode the bytes of a file into upright RGB pixels: the one decoder, which worker and trainer share."""

import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from simplejpeg import decode_jpeg

from worker.errors import BadPhoto, Reason
from worker.inference.signatures import advise_on_other_file, advise_on_raw_file

Pixels = NDArray[np.uint8]

FORMATS = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
    GifImagePlugin.GifImageFile.format,
    BmpImagePlugin.BmpImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
    AvifImagePlugin.AvifImageFile.format,
    pillow_heif.HeifImageFile.format,
)
"""The formats that are decoded, by Pillow's names. Others are recognised, and refused as unsupported."""

_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM....\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP"
    rb"|....ftyp(?:avi[fs]|he[iv][cmsx]|mif[12]|msf1)",
    re.DOTALL,
)
"""How the files of `FORMATS` begin: what starts like this and cannot be parsed is damaged, not foreign."""

_FORMATS_WITHOUT_CHECKSUMS = ("WEBP", "AVIF", "HEIF")
"""Compressed formats whose decoders make pixels even of nothing but zeros."""

_SECTOR_BYTES = 512
"""What was never written reads as whole sectors of zeros; fewer zeros may well be the end of a file."""

LONG_RATIO = 2.5
"""A picture more than this many times as long as it is broad is long: in a square input, its faces are small.

Of 6333 web photos 1.2 % are long.
"""

_MAX_LENGTHENING = 8
"""A long picture's longest side is at most this many times `max_side`."""

_ORIENTATION_TAG = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (Exif 2.32, 4.6.5); with any other it is upright."""

_SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)
"""Those whose width in the file is the height of the upright picture."""

_HEIF_ORIENTATION_BOXES = (b"irot", b"imir")
"""The boxes by which a HEIF file turns and mirrors (ISO/IEC 23008-12, 6.5.10 and 6.5.12)."""

_WHITE_LEVELS = {"I": (65535.0,), "F": (1.0, 255.0, 65535.0)}
"""White in integer and in floating-point grey: the least of these that holds the brightest pixel."""

_JPEG_FORMATS = ("JPEG", "MPO")
"""MPO is a JPEG that others follow in the same file, as of stereo cameras and many telephones."""

_HARMLESS_WARNING = "extraneous bytes before marker"
"""What some cameras pad their JPEGs with; the picture is whole."""

_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
)
"""What Pillow and its plug-ins raise on damaged files, as seen on fuzzing corpora."""

pillow_heif.register_heif_opener(thumbnails=False)
Image.MAX_IMAGE_PIXELS = None  # `max_pixels` is checked below, before anything is decoded
warnings.filterwarnings("ignore", module=r"PIL\.")  # about odd metadata, which is not read


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: uint8 (H, W, 3), RGB, 0–255, upright; and its full size in the file, upright."""

    pixels: Pixels
    width: int
    height: int


def decode_photo(data: bytes, *, max_pixels: int, max_side: int) -> Picture:
    """Decode a file's bytes into an upright picture whose longest side is at most `max_side` pixels.

    One longer than `LONG_RATIO` keeps the breadth of a picture of this ratio, and a smaller one its size. The
    first frame stands for an animation, transparency lies over white, and 16 bits a channel become 8.
    Raises BadPhoto for what is not a picture, not whole, too large, or of an unsupported format.
    """
    if not data:
        raise BadPhoto(Reason.EMPTY, "the file has 0 bytes")
    with _open(data) as image:
        width, height = image.size
        if width * height > max_pixels:
            detail = f"{width} × {height} pixels; limits.max_pixels is {max_pixels}"
            raise BadPhoto(Reason.TOO_MANY_PIXELS, detail)
        try:
            _check_whole(data, image.format)
            _restore_heif_orientation(image, data)
            decoded = _decode(data, image, _fit_within(image.size, max_side))
            orientation = _read_orientation(image)  # not before: a TIFF is turned while it is loaded
            pixels = _turn_upright(decoded, orientation, max_side)
        except MemoryError as error:
            detail = f"{width} × {height} pixels need more than limits.memory_bytes"
            raise BadPhoto(Reason.TOO_MANY_PIXELS, detail) from error
        except _DECODER_ERRORS as error:
            raise BadPhoto(Reason.DAMAGED, f"the {image.format} is damaged: {_join_lines(error)}") from error
    if orientation in _SIDEWAYS_ORIENTATIONS:
        width, height = height, width
    return Picture(pixels, width, height)


def _open(data: bytes) -> Image.Image:
    if advice := advise_on_raw_file(data):  # before Pillow reads its thumbnail as if it were the photo
        raise BadPhoto(Reason.UNSUPPORTED, advice)
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise _explain_refusal(data) from None
    except _DECODER_ERRORS as error:
        if not _SIGNATURES.match(data):  # as with a text that begins like a BMP: BM
            raise _explain_refusal(data) from None
        raise BadPhoto(Reason.DAMAGED, f"the picture's header is damaged: {_join_lines(error)}") from error


def _join_lines(error: Exception) -> str:
    return " ".join(str(error).split())


def _explain_refusal(data: bytes) -> BadPhoto:
    if _SIGNATURES.match(data):
        return BadPhoto(Reason.DAMAGED, "it begins as a picture, but its header is damaged or cut off")
    if advice := advise_on_other_file(data):
        return BadPhoto(Reason.UNSUPPORTED, advice)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return BadPhoto(Reason.UNSUPPORTED, f"{image.format} is not read; save it as JPEG or PNG")
    except _DECODER_ERRORS:
        return BadPhoto(Reason.NOT_AN_IMAGE, "nothing in it looks like a picture")


def _check_whole(data: bytes, format_name: str | None) -> None:
    # Pillow skips the checksums of a PNG's pixel chunks while it decodes; verify() reads them all.
    if format_name == "PNG":
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.verify()
    # Space that was reserved and never written, as after a power cut. In other formats a decoder notices,
    # or zeros may be black pixels.
    if format_name in _FORMATS_WITHOUT_CHECKSUMS and data.endswith(bytes(_SECTOR_BYTES)):
        raise ValueError("it ends in zeros that were never written")


def _decode(data: bytes, image: Image.Image, min_size: tuple[int, int]) -> Image.Image | Pixels:
    """Decode the pixels, where that is cheaper at a reduced scale, but no smaller than `min_size`."""
    if image.format in _JPEG_FORMATS and image.mode in ("L", "RGB"):
        try:
            return _decode_strictly(data, image.size, min_size)
        except ValueError as error:
            if _HARMLESS_WARNING not in str(error):
                raise
    image.draft("RGB", min_size)
    image.load()
    return image


def _decode_strictly(data: bytes, size: tuple[int, int], min_size: tuple[int, int]) -> Pixels:
    # libjpeg fills up what is broken in grey and only warns, which Pillow does not pass on.
    (width, height), (min_width, min_height) = size, min_size
    # By these libjpeg scales while it decodes, at a fraction of the cost (libjpeg.txt, "scale_num").
    scale = next((n for n in (8, 4, 2) if width // n >= min_width and height // n >= min_height), 1)
    pixels: Pixels = decode_jpeg(data, "RGB", min_width=-(-width // scale), min_height=-(-height // scale))
    return pixels


def _restore_heif_orientation(image: Image.Image, data: bytes) -> None:
    # pillow-heif clears the EXIF orientation because HEIF turns pictures by its own properties; files
    # of early iPhones have none of these, and there the EXIF orientation is all that there is.
    orientation = image.info.get("original_orientation")
    if orientation and not any(box in data for box in _HEIF_ORIENTATION_BOXES):
        image.getexif()[_ORIENTATION_TAG] = orientation


def _read_orientation(image: Image.Image) -> int | None:
    try:
        orientation: Any = image.getexif().get(_ORIENTATION_TAG)
    except _DECODER_ERRORS:  # broken metadata around whole pixels: take them as they are
        return None
    return orientation if isinstance(orientation, int) else None


def _turn_upright(decoded: Image.Image | Pixels, orientation: int | None, max_side: int) -> Pixels:
    transposition = _TRANSPOSITIONS.get(orientation or 0)
    if isinstance(decoded, np.ndarray):
        height, width, _ = decoded.shape
        if transposition is None and _fit_within((width, height), max_side) == (width, height):
            return decoded  # to Pillow and back it would be copied twice
        decoded = Image.fromarray(decoded)
    image = decoded if transposition is None else decoded.transpose(transposition)
    return _shrink(_convert_to_rgb(image), max_side)


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of these modes cuts every value above 255 off instead of scaling it.
    if image.mode.startswith(("I", "F")):
        return _scale_to_8_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 16 bits, 32 bits or floating point to 8 bits by the range that its values call for."""
    values = np.asarray(image, np.float64)
    brightest = float(values.max(initial=0.0))
    if not np.isfinite(brightest):
        raise ValueError("a pixel is not a number")
    white = next((level for level in _WHITE_LEVELS[image.mode[0]] if brightest <= level), brightest)
    scaled = np.clip(values * (255.0 / white), 0, 255)
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")


def _fit_within(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    length, breadth = max(size), min(size)
    if length > LONG_RATIO * breadth:
        max_side = round(max_side * min(length / (LONG_RATIO * breadth), _MAX_LENGTHENING))
    scale = min(1.0, max_side / length)
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def _shrink(image: Image.Image, max_side: int) -> Pixels:
    size = _fit_within(image.size, max_side)
    if size != image.size:
        # From a gap of 3.0 on the result is in most cases that of fair resampling (Pillow, Image.resize).
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image, np.uint8)
