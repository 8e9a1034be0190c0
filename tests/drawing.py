"""Pictures for the tests, drawn by code: the same seed draws the same picture."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

pillow_heif.register_heif_opener(thumbnails=False)

_ORIENTATION_TAG = 0x0112

_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored under each EXIF orientation (EXIF 2.32, tag 0x0112); 1 is as it is."""


def draw_pixels(seed: int = 0, size: tuple[int, int] = (96, 64)) -> NDArray[np.uint8]:
    """Draw uint8 (H, W, 3), RGB: a gradient under soft blobs, with four different corners."""
    random = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    across, down = x / max(1, width - 1), y / max(1, height - 1)
    pixels = np.stack([255 * across, 255 * down, 127 * (across + (1 - down))], axis=-1)
    for _ in range(4):
        left, top = random.random(2)
        colour = random.uniform(-90, 90, 3)
        blob = np.exp(-((across - left) ** 2 + (down - top) ** 2) / 0.02)
        pixels += blob[..., np.newaxis] * colour
    return pixels.clip(0, 255).astype(np.uint8)


def draw_photo(seed: int = 0, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Draw a picture in RGB."""
    return Image.fromarray(draw_pixels(seed, size))


def draw_noise(seed: int = 0, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Draw a picture that no format compresses well, so that a truncated file ends within its pixels."""
    noise = np.random.default_rng(seed).normal(0, 20, (size[1], size[0], 3))
    return Image.fromarray((draw_pixels(seed, size) + noise).clip(0, 255).astype(np.uint8))


def encode_image(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode a picture, `kind` by Pillow's name of the format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encode_rotated(image: Image.Image, orientation: int, kind: str, **options: object) -> bytes:
    """Encode a picture rotated or mirrored, with the EXIF orientation that makes it upright."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    stored = image.transpose(_STORED_AS[orientation]) if orientation in _STORED_AS else image
    return encode_image(stored, kind, exif=exif, **options)


def draw_jpeg(seed: int = 0, size: tuple[int, int] = (96, 64)) -> bytes:
    """Draw a photo as it comes from a camera, a JPEG."""
    return encode_image(draw_photo(seed, size), "JPEG", quality=90)


def build_png_chunk(name: bytes, body: bytes) -> bytes:
    """Make one chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def build_png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """Make a PNG by hand: `rows` are as the format stores them, each after its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(build_png_chunk(*chunk) for chunk in chunks)


def build_pixel_bomb(side: int = 40_000) -> bytes:
    """Make a small PNG of a white square that is so large that its pixels would fill the memory."""
    compressor = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (-(-side // 8))
    block = row * 1000
    compressed = b"".join(compressor.compress(block) for _ in range(side // 1000)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", compressed), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(build_png_chunk(*chunk) for chunk in chunks)
