"""What a network reads of a picture: its shape, its placement, and the same pixels by every way."""

from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.drawing import draw_pixels
from worker.inference.manifest import InputSpec
from worker.inference.preprocess import SourceImage, compute_placement, resize_to_input


@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_an_input_has_the_shape_that_its_network_takes(
    colour: Literal["rgb", "grey"], resize: Literal["stretch", "letterbox"]
) -> None:
    pixels = resize_to_input(draw_pixels(7), InputSpec(40, 24, colour, resize))
    assert pixels.shape == (24, 40, 3 if colour == "rgb" else 1)
    assert pixels.dtype == np.uint8


def test_a_letterboxed_picture_keeps_its_shape_between_grey_bars() -> None:
    pixels = resize_to_input(np.full((10, 40, 3), 255, np.uint8), InputSpec(40, 40, "rgb", "letterbox"))
    assert (pixels[:14] == 128).all()
    assert (pixels[16:24] == 255).all()
    assert (pixels[26:] == 128).all()


@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (50, 50), (300, 10), (7, 333), (1, 1)], ids=str)
def test_a_letterbox_is_pillows_own(size: tuple[int, int], colour: Literal["rgb", "grey"]) -> None:
    pixels = draw_pixels(0, size)
    image = Image.fromarray(pixels).convert("L" if colour == "grey" else "RGB")
    bars = 128 if colour == "grey" else (128, 128, 128)
    expected = ImageOps.pad(image, (40, 32), Image.Resampling.BILINEAR, color=bars)

    letterbox = resize_to_input(pixels, InputSpec(40, 32, colour, "letterbox"))

    assert (letterbox == np.asarray(expected).reshape(32, 40, -1)).all()


def test_a_picture_that_is_far_too_long_for_a_letterbox_is_a_line_in_it() -> None:
    letterbox = resize_to_input(np.full((1, 600, 3), 255, np.uint8), InputSpec(32, 32, "rgb", "letterbox"))
    assert (letterbox == 255).all(axis=(1, 2)).sum() == 1


SPECS = (
    InputSpec(320, 320, "rgb", "letterbox"),
    InputSpec(96, 64, "rgb", "stretch"),
    InputSpec(48, 48, "grey", "stretch"),
    InputSpec(640, 480, "grey", "letterbox"),
)


@pytest.mark.parametrize("size", [(100, 60), (320, 240), (640, 427), (961, 33), (1, 1300)], ids=str)
def test_networks_that_share_a_picture_read_what_each_would_read_alone(size: tuple[int, int]) -> None:
    pixels = draw_pixels(1, size)
    for shared, spec in zip(SourceImage.from_pixels(pixels).resize_all(SPECS), SPECS, strict=True):
        assert (shared == resize_to_input(pixels, spec)).all()


def test_a_crop_shows_nothing_of_what_is_around_it() -> None:
    pixels = draw_pixels(2, (700, 500))
    crop = SourceImage.from_pixels(pixels).crop(20, 30, 690, 431)
    for resized, spec in zip(crop.resize_all(SPECS), SPECS, strict=True):
        assert (resized == resize_to_input(pixels[30:431, 20:690], spec)).all()


@pytest.mark.parametrize("size", [(640, 480), (641, 427), (427, 1023), (1999, 1000), (5000, 7)], ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_picture_that_is_reduced_first_looks_as_it_would_otherwise(
    spec: InputSpec, size: tuple[int, int]
) -> None:
    pixels = draw_pixels(3, size)
    placement = compute_placement(*size, spec)
    image = Image.fromarray(pixels).convert("L" if spec.colour == "grey" else "RGB")
    at_once = np.asarray(image.resize((placement.width, placement.height), Image.Resampling.BILINEAR), int)
    rows = slice(placement.top, placement.top + placement.height)
    columns = slice(placement.left, placement.left + placement.width)
    reduced_first = resize_to_input(pixels, spec)[rows, columns].reshape(at_once.shape)
    assert np.abs(reduced_first - at_once).mean() < 1
