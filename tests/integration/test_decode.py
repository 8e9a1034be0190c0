"""The decoder of pictures: what it makes upright and complete, and what it refuses with which reason."""

import io
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.drawing import (
    build_pixel_bomb,
    build_png,
    draw_jpeg,
    draw_noise,
    draw_photo,
    draw_pixels,
    encode_image,
    encode_rotated,
)
from worker.errors import BadPhoto, Reason
from worker.inference.decode import Picture, decode_photo

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")  # the decoder's own rule, which pytest lifts

LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}
LOSSY = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}, "HEIF": {"quality": 95}}


def decode(data: bytes, *, max_pixels: int = 10_000_000, max_side: int = 320) -> Picture:
    return decode_photo(data, max_pixels=max_pixels, max_side=max_side)


def find_refusal(data: bytes, **limits: int) -> Reason:
    """Return the reason why a file is refused."""
    with pytest.raises(BadPhoto) as refused:
        decode(data, **limits)
    assert "\n" not in refused.value.detail
    return refused.value.reason


def measure_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


# Upright


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_a_picture_is_upright_whatever_its_orientation_and_format(kind: str, orientation: int) -> None:
    upright = draw_photo(1, (96, 64))
    options = (LOSSLESS | LOSSY)[kind]

    picture = decode(encode_rotated(upright, orientation, kind, **options))

    assert (picture.width, picture.height) == (96, 64)
    assert measure_difference(picture.pixels, np.asarray(upright)) <= (0 if kind in LOSSLESS else 6)


def test_a_heic_that_only_exif_turns_is_turned() -> None:
    data = encode_rotated(draw_photo(1), 6, "HEIF")
    assert b"irot" not in data, "the encoder has begun to write the box; find another way to leave it out"
    assert decode(data).pixels.shape == (64, 96, 3)


def test_an_avif_that_its_own_box_turns_is_turned_once() -> None:
    data = encode_rotated(draw_photo(1), 6, "AVIF")
    assert b"irot" in data
    assert decode(data).pixels.shape == (64, 96, 3)


def test_an_orientation_that_exif_does_not_know_turns_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode(encode_image(draw_photo(), "JPEG", exif=exif)).pixels.shape == (64, 96, 3)


def test_broken_metadata_around_intact_pixels_does_not_damage_a_picture() -> None:
    data = encode_image(draw_photo(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff" + b"\xff" * 40)
    assert decode(data).pixels.shape == (64, 96, 3)


# Colours


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_colour_mode_becomes_rgb_of_8_bits(mode: str) -> None:
    grey = draw_photo(2).convert("L")
    if mode in ("I;16", "I", "F"):
        wide = np.asarray(grey).astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        image = Image.fromarray(wide * 257 if mode != "F" else wide)
        expected = np.asarray(grey.convert("RGB"))
    else:
        image = draw_photo(2).convert(mode)
        expected = np.asarray(image.convert("RGB"))
    kind = "TIFF" if mode in ("CMYK", "I", "F") else "PNG"

    picture = decode(encode_image(image, kind))

    assert picture.pixels.dtype == np.uint8
    assert measure_difference(picture.pixels, expected) <= 1


def test_what_transparency_hides_is_white() -> None:
    hidden = np.zeros((64, 96, 4), np.uint8)
    hidden[:, :48] = (255, 0, 0, 0)
    hidden[:, 48:] = (0, 0, 255, 255)
    pixels = decode(encode_image(Image.fromarray(hidden), "PNG")).pixels
    assert (pixels[:, :48] == 255).all()
    assert (pixels[:, 48:] == (0, 0, 255)).all()


def test_half_transparent_black_is_grey_over_white() -> None:
    veil = Image.new("LA", (20, 20), (0, 128))
    assert np.abs(decode(encode_image(veil, "PNG")).pixels.astype(int) - 127).max() <= 1


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    assert (decode(encode_image(image, "PNG", transparency=1)).pixels == 255).all()
    assert (decode(encode_image(image, "GIF", transparency=1)).pixels == 255).all()


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3)], ids=["grey", "rgb"])
def test_a_png_of_16_bits_keeps_its_upper_8(colour: int, channels: int) -> None:
    high = draw_pixels(3, (24, 16))[..., :channels]
    wide = (high.astype(">u2") << 8 | 0x7F).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    pixels = decode(build_png(24, 16, 16, colour, rows)).pixels
    assert measure_difference(pixels, np.broadcast_to(high, (16, 24, 3))) <= 1


def test_a_make_16_bit_tiff_a_colour_keeps_its_upper_8() -> None:
    high = draw_pixels(3, (24, 16))
    assert measure_difference(decode(_make_16_bit_tiff(high)).pixels, high) <= 1


def test_a_cmyk_jpeg_has_the_colours_that_it_shows() -> None:
    red = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    pixel = decode(encode_image(red, "JPEG", quality=95)).pixels[16, 16].astype(int)
    assert pixel[0] > 230
    assert pixel[1:].max() < 25


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_stands_for_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green")]
    data = encode_image(frames[0], kind, save_all=True, append_images=frames[1:])
    assert measure_difference(decode(data).pixels, np.asarray(frames[0])) <= 2


# Size


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_decoded_as_if_in_full_size_and_then_resized(kind: str) -> None:
    large = draw_photo(4, (1200, 800))
    resized = large.resize((320, 213), Image.Resampling.BILINEAR, reducing_gap=3.0)

    picture = decode(encode_image(large, kind))

    assert (picture.width, picture.height) == (1200, 800)
    assert measure_difference(picture.pixels, np.asarray(resized)) <= 2


def test_a_small_picture_keeps_its_size() -> None:
    assert decode(draw_jpeg(size=(30, 20))).pixels.shape == (20, 30, 3)


@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000)])
def test_a_picture_of_one_line_is_decoded(size: tuple[int, int]) -> None:
    assert max(decode(encode_image(Image.new("RGB", size), "PNG")).pixels.shape[:2]) <= 8 * 320


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "decoded_size"),
    [
        ((2000, 800), (320, 128)),
        ((2400, 800), (384, 128)),
        ((200, 3200), (128, 2048)),
        ((6400, 100), (2560, 40)),
        ((600, 100), (600, 100)),
    ],
    ids=str,
)
def test_a_long_picture_is_as_broad_as_an_ordinary_one_of_the_largest_ratio(
    kind: str, size: tuple[int, int], decoded_size: tuple[int, int]
) -> None:
    picture = decode(encode_image(draw_photo(7, size), kind))
    assert (picture.width, picture.height) == size
    assert picture.pixels.shape[1::-1] == decoded_size


def test_the_longest_side_after_turning_is_the_maximum() -> None:
    picture = decode(encode_rotated(draw_photo(5, (1000, 500)), 6, "JPEG"), max_side=100)
    assert picture.pixels.shape == (50, 100, 3)
    assert (picture.width, picture.height) == (1000, 500)


def test_a_pixel_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = build_pixel_bomb()
    assert len(bomb) < 300_000
    tracemalloc.start()
    started = time.process_time()
    try:
        assert find_refusal(bomb) is Reason.TOO_MANY_PIXELS
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 10_000_000
    assert time.process_time() - started < 1


def test_the_limit_of_pixels_is_itself_allowed() -> None:
    data = draw_jpeg(size=(40, 25))
    assert decode(data, max_pixels=1000).width == 40
    assert find_refusal(data, max_pixels=999) is Reason.TOO_MANY_PIXELS


# Damage

NOISE = draw_noise(6)
COMPLETE = {
    "jpeg": encode_image(NOISE, "JPEG"),
    "jpeg progressive": encode_image(NOISE, "JPEG", progressive=True),
    "jpeg grey": encode_image(NOISE.convert("L"), "JPEG"),
    "jpeg with restarts": encode_image(NOISE, "JPEG", restart_marker_rows=1),
    "png": encode_image(NOISE, "PNG"),
    "png palette": encode_image(NOISE.quantize(64), "PNG"),
    "webp": encode_image(NOISE, "WEBP"),
    "webp lossless": encode_image(NOISE, "WEBP", lossless=True),
    "gif": encode_image(NOISE, "GIF"),
    "bmp": encode_image(NOISE, "BMP"),
    "tiff": encode_image(NOISE, "TIFF"),
    "tiff lzw": encode_image(NOISE, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encode_image(NOISE, "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": encode_image(NOISE, "TIFF", compression="jpeg"),
    "avif": encode_image(NOISE, "AVIF"),
    "heif": encode_image(NOISE, "HEIF"),
}

_TRAILER_BYTES = {"png": 4, "png palette": 4, "gif": 2}
"""What follows the last pixel's bytes and may be lost: of IEND's checksum, of GIF's end."""

each_format = pytest.mark.parametrize("name", COMPLETE)


@each_format
def test_a_cut_off_picture_is_refused_as_damaged_wherever_it_was_cut(name: str) -> None:
    data = COMPLETE[name]
    last = len(data) - _TRAILER_BYTES.get(name, 0)
    lengths = [last - 1, last - 2, last - 7, *(len(data) * n // 24 for n in range(3, 24))]
    assert {find_refusal(data[:length]) for length in lengths} == {Reason.DAMAGED}


@pytest.mark.parametrize("name", sorted(_TRAILER_BYTES))
def test_a_picture_that_lost_only_what_follows_its_pixels_is_decoded(name: str) -> None:
    data = COMPLETE[name]
    shortened = data[: len(data) - _TRAILER_BYTES[name]]
    assert (decode(shortened).pixels == decode(data).pixels).all()


@pytest.mark.parametrize("name", sorted(set(COMPLETE) - {"bmp", "tiff"}))
def test_a_picture_whose_end_was_never_written_is_refused_as_damaged(name: str) -> None:
    data = COMPLETE[name]
    for quarters in (2, 3):
        length = len(data) * quarters // 4
        assert find_refusal(data[:length] + bytes(len(data) - length)) is Reason.DAMAGED


def test_a_jpeg_with_a_hole_or_an_early_end_is_refused_rather_than_filled_up_with_grey() -> None:
    data = encode_image(draw_noise(1, (640, 480)), "JPEG")
    middle = len(data) // 2
    assert find_refusal(data[:middle] + bytes(3000) + data[middle + 3000 :]) is Reason.DAMAGED
    assert find_refusal(data[:middle] + b"\xff\xd9") is Reason.DAMAGED


def test_a_jpeg_that_a_camera_has_padded_before_its_end_is_decoded() -> None:
    data = COMPLETE["jpeg"]
    end = data.rindex(b"\xff\xd9")
    assert (decode(data[:end] + bytes(5) + data[end:]).pixels == decode(data).pixels).all()


def test_trailing_bytes_that_belong_to_no_picture_do_no_harm() -> None:
    for name in ("jpeg", "png", "gif", "bmp"):
        assert (decode(COMPLETE[name] + bytes(5000)).pixels == decode(COMPLETE[name]).pixels).all()


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_a_png_with_a_flipped_bit_in_its_pixels_is_refused_as_damaged(fraction: float) -> None:
    data = bytearray(COMPLETE["png"])
    data[int(len(data) * fraction)] ^= 0x10
    assert find_refusal(bytes(data)) is Reason.DAMAGED


def test_a_png_with_a_wrong_checksum_alone_is_refused_as_damaged() -> None:
    data = bytearray(COMPLETE["png"])
    data[-13] ^= 1  # the last byte of IDAT's checksum, before the twelve bytes of IEND
    assert find_refusal(bytes(data)) is Reason.DAMAGED


def test_a_file_of_no_bytes_is_refused_as_empty() -> None:
    assert find_refusal(b"") is Reason.EMPTY


@pytest.mark.parametrize("data", [b"Dear diary,\n" * 40, b"\0" * 4096, b"BMW is a make of cars", b"\xff"])
def test_what_is_no_picture_is_refused_as_none(data: bytes) -> None:
    assert find_refusal(data) is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize("kind", ["ICO", "PCX", "TGA", "PPM", "JPEG2000"])
def test_a_picture_of_another_format_is_refused_as_unsupported(kind: str) -> None:
    assert find_refusal(encode_image(draw_photo(size=(32, 32)), kind)) is Reason.UNSUPPORTED


def test_a_photoshop_file_is_refused_as_unsupported() -> None:
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 8, 8, 8, 3)
    data = header + struct.pack(">IIIH", 0, 0, 0, 0) + bytes(8 * 8 * 3)
    assert find_refusal(data) is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    "data",
    [b"%PDF-1.7\n", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", b"\xff\x0a\xfa\x1f\x41", b"<svg width='3'/>"],
    ids=["pdf", "mp4", "jxl", "svg"],
)
def test_a_file_of_a_known_kind_that_shows_no_photo_is_refused_as_unsupported(data: bytes) -> None:
    assert find_refusal(data) is Reason.UNSUPPORTED


def test_a_raw_file_is_refused_rather_than_its_thumbnail_decoded() -> None:
    version = Image.Exif()
    version[50706] = b"\1\4\0\0"  # DNGVersion
    version[271] = "NIKON CORPORATION"
    with pytest.raises(BadPhoto, match=r"raw file \(Nikon\); export it as JPEG") as refused:
        decode(encode_image(draw_photo(), "TIFF", exif=version))
    assert refused.value.reason is Reason.UNSUPPORTED


def test_a_heic_whose_header_is_cut_off_is_damaged_and_no_video() -> None:
    assert find_refusal(COMPLETE["heif"][:40]) is Reason.DAMAGED


def test_a_refusal_names_the_format_and_what_to_do() -> None:
    with pytest.raises(BadPhoto, match="ICO is not read; save it as JPEG or PNG"):
        decode(encode_image(draw_photo(size=(32, 32)), "ICO"))


# Anything at all


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(COMPLETE)),
    changes=st.lists(st.tuples(st.floats(0, 0.9999), st.binary(min_size=1, max_size=8)), max_size=6),
    share=st.floats(0, 1),
)
def test_a_mutated_picture_is_decoded_or_refused_and_nothing_else(
    name: str, changes: list[tuple[float, bytes]], share: float
) -> None:
    data = bytearray(COMPLETE[name])
    for fraction, replacement in changes:
        start = int(len(data) * fraction)
        data[start : start + len(replacement)] = replacement
    if share > 0.5:  # otherwise the whole file, so that half of the examples reach the decoder's depths
        data = data[: int(len(data) * share)]
    try:
        picture = decode(bytes(data), max_pixels=4_000_000, max_side=64)
    except BadPhoto:
        return
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3
    assert picture.pixels.shape[2] == 3
    assert max(picture.pixels.shape[:2]) <= 8 * 64


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", *(data[:40] for data in COMPLETE.values())]))
def test_arbitrary_bytes_are_never_anything_but_refused_or_decoded(tail: bytes, head: bytes) -> None:
    with suppress(BadPhoto):
        decode(head + tail, max_pixels=4_000_000)


def _make_16_bit_tiff(high: NDArray[np.uint8]) -> bytes:
    """Make a TIFF by hand, RGB of 16 bits a channel in one strip (TIFF 6.0)."""
    height, width, _ = high.shape
    strip = (high.astype("<u2") << 8).tobytes()
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, 8),  # bits a sample: three shorts, which lie at byte 8
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 14),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(strip)),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    head = struct.pack("<2sHI", b"II", 42, 14 + len(strip)) + struct.pack("<3H", 16, 16, 16)
    return head + strip + directory


def test_the_drawn_files_are_what_they_say() -> None:
    assert zlib.crc32(draw_jpeg()) == zlib.crc32(draw_jpeg())
    for data in COMPLETE.values():
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == NOISE.size
