"""A prediction that is drawn on its photo can be read, whatever the photo's shape."""

import numpy as np
import pytest
from PIL import Image

from worker.inference.overlay import draw_prediction
from worker.inference.prediction import FacePrediction, Prediction

PROBABILITIES = {"happy": 0.75, "sad": 0.25}

LIGHT_YELLOW, LIGHT_BLUE = (255, 194, 77), (109, 179, 255)


def make_face(left: float, top: float, side: float, label: str = "sad", score: float = 0.9) -> FacePrediction:
    return FacePrediction(left, top, side, side, score, label, PROBABILITIES)


def draw(size: tuple[int, int], ground: int, *faces: FacePrediction) -> Image.Image:
    pixels = np.full((size[1], size[0], 3), ground, np.uint8)
    return draw_prediction(pixels, Prediction("happy", 0.75, PROBABILITIES, faces))


def count_pixels(image: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(image) == colour).all(axis=2).sum())


@pytest.mark.parametrize(
    "size", [(1280, 853), (853, 1280), (1280, 43), (43, 1280), (8, 8), (1, 1), (700, 700)], ids=str
)
def test_the_prediction_is_in_a_band_below_a_photo_of_any_shape(size: tuple[int, int]) -> None:
    image = draw(size, 128)
    assert image.width >= 360
    assert 480 <= max(size[0], size[1], 480) <= max(image.size)
    band = image.crop((0, image.height - 40, image.width, image.height))
    assert count_pixels(band, LIGHT_YELLOW) > 20
    assert count_pixels(band, (20, 23, 29)) > band.width * band.height / 3


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_face_has_a_box_and_a_tag_in_its_labels_colour(ground: int) -> None:
    face = FacePrediction(300.0, 200.0, 100.0, 100.0, 0.9, "sad", {"happy": 0.4, "sad": 0.6})
    without_face, with_face = draw((640, 480), ground), draw((640, 480), ground, face)
    assert count_pixels(with_face, LIGHT_BLUE) - count_pixels(without_face, LIGHT_BLUE) > 1500
    box = np.asarray(with_face)[200:300, 300:400]
    assert (box[50, 0] == LIGHT_BLUE).all()
    assert (box[50, 50] == ground).all()


def test_a_large_photo_keeps_its_size_and_its_boxes_and_letters_grow_with_it() -> None:
    small = draw((1280, 853), 0, make_face(300.0, 200.0, 200.0))
    large = draw((5120, 3412), 0, make_face(1200.0, 800.0, 800.0))
    assert large.width == 5120
    assert large.height == pytest.approx(4 * small.height, rel=0.01)
    ratio = count_pixels(large, LIGHT_BLUE) / count_pixels(small, LIGHT_BLUE)
    assert ratio == pytest.approx(16, rel=0.1)


def test_a_small_photo_is_enlarged_and_its_boxes_with_it() -> None:
    image = draw((120, 80), 0, make_face(60.0, 40.0, 30.0))
    assert image.width == 480
    assert (np.asarray(image)[180, 240] == LIGHT_BLUE).all()


def test_the_box_of_a_doubtful_face_is_dashed() -> None:
    sure, doubtful = (
        np.asarray(draw((1280, 853), 0, make_face(400.0, 300.0, 200.0, score=score))) for score in (0.6, 0.4)
    )
    for image, share in ((sure, 1.0), (doubtful, 0.5)):
        bottom = (image[498, 412:588] == LIGHT_BLUE).all(axis=1)
        assert bottom.mean() == pytest.approx(share, abs=0.15)
    assert (doubtful[300, 400] == LIGHT_BLUE).all()
    assert (doubtful[499, 599] == LIGHT_BLUE).all()


@pytest.mark.parametrize(("left", "top"), [(0.0, 0.0), (1180.0, 0.0), (0.0, 620.0), (1180.0, 620.0)], ids=str)
def test_the_tag_of_a_face_at_an_edge_stays_in_the_photo(left: float, top: float) -> None:
    without_face = draw((1280, 720), 0)
    at_edge = draw((1280, 720), 0, make_face(left, top, 100.0))
    in_middle = draw((1280, 720), 0, make_face(500.0, 300.0, 100.0))
    background = count_pixels(without_face, LIGHT_BLUE)
    assert count_pixels(at_edge, LIGHT_BLUE) - background > 0.75 * (
        count_pixels(in_middle, LIGHT_BLUE) - background
    )


def test_hundreds_of_faces_and_one_larger_than_the_photo_are_drawn() -> None:
    crowd = [make_face(6.0 * (index % 100), 30.0 * (index // 100), 5.0) for index in range(300)]
    image = draw((640, 480), 90, FacePrediction(0.0, 0.0, 640.0, 480.0, 0.9, "happy", PROBABILITIES), *crowd)
    assert count_pixels(image, LIGHT_BLUE) > 1000


def test_a_label_that_is_too_long_for_the_band_is_shortened() -> None:
    label = "n" * 255
    prediction = Prediction(label, 1.0, {label: 1.0, "sad": 0.0}, None)
    image = draw_prediction(np.zeros((480, 480, 3), np.uint8), prediction)
    assert image.width == 480
