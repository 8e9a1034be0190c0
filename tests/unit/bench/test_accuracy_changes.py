"""The five ways in which pictures are changed before they are predicted again."""

import numpy as np
import pytest
from PIL import Image

from tests.bench.accuracy_changes import CHANGES, Change, lighten, loosen, reduce, rotate
from tests.drawing import draw_pixels
from worker.inference.decode import Pixels, decode_photo

SIZES = [(96, 64), (63, 97), (500, 1), (1, 1)]


def fill(colour: tuple[int, int, int], size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.new("RGB", size, colour))


def decode(data: bytes) -> Pixels:
    return decode_photo(data, max_pixels=10**7, max_side=10**5).pixels


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_changed_picture_is_a_file_that_the_worker_reads(change: Change, size: tuple[int, int]) -> None:
    pixels = draw_pixels(size=size)
    assert decode(change.encode(pixels)).shape == change.apply(pixels).shape


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_no_change_writes_into_the_picture_that_the_next_one_takes(change: Change) -> None:
    pixels = draw_pixels()
    before = pixels.copy()
    change.encode(pixels)
    assert np.array_equal(pixels, before)


def test_only_one_change_is_in_the_encoding() -> None:
    pixels = draw_pixels()
    lossless = [np.array_equal(decode(change.encode(pixels)), change.apply(pixels)) for change in CHANGES]
    assert lossless == [change.jpeg_quality is None for change in CHANGES]
    assert lossless.count(False) == 1


@pytest.mark.parametrize(
    ("size", "reduced"),
    [((640, 480), (24, 18)), ((480, 640), (18, 24)), ((2000, 1), (24, 1)), ((24, 24), (24, 24))],
    ids=str,
)
def test_the_longest_side_is_reduced_and_no_side_to_nothing(
    size: tuple[int, int], reduced: tuple[int, int]
) -> None:
    height, width, _ = reduce(draw_pixels(size=size)).shape
    assert (width, height) == reduced


def test_a_picture_that_is_small_already_is_not_enlarged() -> None:
    pixels = draw_pixels(size=(20, 10))
    assert np.array_equal(reduce(pixels), pixels)


def test_a_looser_crop_has_the_picture_in_its_middle_and_its_edges_around_it() -> None:
    pixels = draw_pixels(size=(100, 50))
    canvas = loosen(pixels)
    assert canvas.shape == (60, 120, 3)
    assert np.array_equal(canvas[5:55, 10:110], pixels)
    assert (canvas[:5, :10] == pixels[0, 0]).all()
    assert (canvas[:5, 10:110] == pixels[0]).all()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_rotated_picture_keeps_its_size_and_has_no_black_corners(size: tuple[int, int]) -> None:
    pixels = fill((200, 100, 50), size)
    assert np.array_equal(rotate(pixels), pixels)


def test_pictures_are_rotated_anticlockwise_about_their_centre() -> None:
    pixels = fill((0, 0, 0), (101, 101)).copy()
    pixels[49:52, 89:92] = 255  # 40 to the right of the centre
    rows, columns = np.nonzero(rotate(pixels)[..., 0] > 100)
    assert rows.mean() == pytest.approx(50 - 40 * np.sin(np.radians(15)), abs=1)
    assert columns.mean() == pytest.approx(50 + 40 * np.cos(np.radians(15)), abs=1)


def test_gamma_makes_lighter_and_keeps_black_and_white() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    lighter = lighten(ramp)
    assert (lighter >= ramp).all()
    assert [int(lighter.flat[3 * value]) for value in (0, 64, 255)] == [0, 128, 255]
