"""Mosaics: what is annotated as a face is where the face is drawn, and is ignored where little of it is.

Faces are white discs: rotated, they have the same sides, and they stay brighter than all around them.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from trainer.detection.annotated_images import AnnotatedImage, annotate_whole_image
from trainer.detection.boxes import (
    Annotations,
    Boxes,
    compute_corners,
    compute_iou,
    compute_visible_shares,
    make_no_boxes,
)
from trainer.detection.mosaics import Mosaics
from trainer.detection.targets import make_targets
from worker.inference.decode import Pixels

SIDE = 128
MANY = 250


def make_boxes(*rows: tuple[float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 3)


def draw_photo(
    *discs: tuple[float, float, float], size: tuple[int, int] = (240, 180), ignored: bool = False
) -> AnnotatedImage:
    """Draw a dark photo with white discs, which are its faces, or its ignore regions."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    pixels = np.full((size[1], size[0], 3), 20, np.uint8)
    for disc_x, disc_y, side in discs:
        pixels[(x - disc_x) ** 2 + (y - disc_y) ** 2 <= (side / 2) ** 2] = 255
    boxes = make_boxes(*discs)
    annotations = Annotations(make_no_boxes(), boxes) if ignored else Annotations(boxes, make_no_boxes())
    return AnnotatedImage(pixels, annotations)


def make_face(tone: int) -> AnnotatedImage:
    pixels = np.full((48, 48, 3), tone, np.uint8)
    return AnnotatedImage(pixels, annotate_whole_image(pixels))


def make_mosaics(*photos: AnnotatedImage, faces: tuple[AnnotatedImage, ...] = (), seed: int = 0) -> Mosaics:
    return Mosaics(photos, faces, SIDE, seed)


def draw_many(mosaics: Mosaics) -> Iterator[AnnotatedImage]:
    return (mosaics.draw(number) for number in range(MANY))


def find_bright(pixels: Pixels) -> NDArray[np.bool_]:
    brightness = pixels.mean(axis=2)
    return np.asarray(brightness > (brightness.min() + brightness.max()) / 2)


def measure_bright_patch(mosaic: AnnotatedImage, box: NDArray[np.float32]) -> Boxes:
    """Measure the bright patch in which the centre of a box lies."""
    numbers, _ = ndimage.label(find_bright(mosaic.pixels))
    rows, columns = ndimage.find_objects(numbers)[numbers[int(box[1]), int(box[0])] - 1]
    width, height = columns.stop - columns.start, rows.stop - rows.start
    return make_boxes((columns.start + width / 2, rows.start + height / 2, max(width, height)))


def assert_boxes_follow(boxes: list[tuple[AnnotatedImage, NDArray[np.float32]]]) -> None:
    visible = [
        (mosaic, box)
        for mosaic, box in boxes
        if box[2] >= 16 and compute_visible_shares(box[None], SIDE, SIDE)[0] > 0.999
    ]
    assert len(visible) > MANY / 5
    for mosaic, box in visible:
        assert compute_iou(box[None], measure_bright_patch(mosaic, box))[0, 0] >= 0.8


PHOTO = draw_photo((150, 60, 50))


def test_annotations_follow_the_face_however_the_photo_is_scaled_mirrored_and_rotated():
    boxes = [(mosaic, box) for mosaic in draw_many(make_mosaics(PHOTO)) for box in mosaic.annotations.faces]
    assert_boxes_follow(boxes)
    sides = np.array([box[2] for _, box in boxes])
    assert sides.min() < 20
    assert sides.max() > 100


def test_ignore_regions_follow_the_photo():
    mosaics = make_mosaics(draw_photo((150, 60, 50), ignored=True))
    boxes = [(mosaic, box) for mosaic in draw_many(mosaics) for box in mosaic.annotations.ignore_regions]
    assert_boxes_follow(boxes)
    assert not any(len(mosaic.annotations.faces) for mosaic in draw_many(mosaics))


def test_pictures_of_faces_are_annotated_from_edge_to_edge():
    grids = [
        mosaic
        for mosaic in draw_many(make_mosaics(draw_photo(), faces=(make_face(255),)))
        if len(mosaic.annotations.faces) > 1 and np.ptp(mosaic.pixels.mean(axis=2)) > 40
    ]
    assert len(grids) > 10
    for mosaic in grids:
        annotated = np.zeros((SIDE, SIDE), bool)
        for left, top, right, bottom in compute_corners(mosaic.annotations.faces).round().astype(int):
            annotated[top:bottom, left:right] = True
        bright = find_bright(mosaic.pixels)
        assert (annotated & bright).sum() >= 0.8 * (annotated | bright).sum()


def test_a_face_that_is_cut_off_becomes_an_ignore_region_and_one_outside_is_left_out():
    faces, ignore_regions, outside = [], [], 0
    for mosaic in draw_many(make_mosaics(draw_photo((30, 20, 36)))):
        faces += list(mosaic.annotations.faces)
        ignore_regions += list(mosaic.annotations.ignore_regions)
        outside += not len(mosaic.annotations.faces) + len(mosaic.annotations.ignore_regions)
    assert len(faces) + len(ignore_regions) + outside == MANY
    assert len(ignore_regions) > 5
    assert outside > 5
    shares = compute_visible_shares(np.stack(faces), SIDE, SIDE)
    assert shares.min() >= 0.6
    for box in ignore_regions:
        is_inside = (box[:2] >= 0).all() and (box[:2] < SIDE).all()
        share = compute_visible_shares(box[None], SIDE, SIDE)[0]
        assert share >= 0.15
        assert share < 0.6 or not is_inside or box[2] < 7


def test_faces_under_7_pixels_are_ignore_regions():
    mosaics = draw_many(make_mosaics(draw_photo((200, 150, 12), size=(400, 300))))
    annotations = [mosaic.annotations for mosaic in mosaics]
    faces = np.concatenate([row.faces for row in annotations])
    ignore_regions = np.concatenate([row.ignore_regions for row in annotations])
    assert len(faces) > 50
    assert faces[:, 2].min() >= 7
    small = ignore_regions[ignore_regions[:, 2] < 7]
    assert len(small) > 20
    assert compute_visible_shares(small, SIDE, SIDE).max() > 0.99


def test_the_same_number_and_seed_draw_the_same_mosaic():
    mosaics, same, different = (
        make_mosaics(PHOTO, draw_photo(), faces=(make_face(200),), seed=seed) for seed in (3, 3, 4)
    )
    for number in (0, 1, 7, 1000):
        mosaic, again = mosaics.draw(number), same.draw(number)
        assert (mosaic.pixels == again.pixels).all()
        assert (mosaic.annotations.faces == again.annotations.faces).all()
        assert (mosaic.annotations.ignore_regions == again.annotations.ignore_regions).all()
        assert (mosaic.pixels != different.draw(number).pixels).any()
        assert (mosaic.pixels != mosaics.draw(number + 1).pixels).any()


def test_a_batch_holds_the_mosaics_of_its_number_with_their_targets():
    mosaics = make_mosaics(PHOTO, draw_photo())
    pixels, targets = mosaics.draw_batch(2, 4)
    assert (pixels.shape, pixels.dtype) == ((4, SIDE, SIDE, 3), np.uint8)
    assert (targets.shape, targets.dtype) == ((4, SIDE // 8, SIDE // 8, 6), np.float32)
    for index, number in enumerate(range(8, 12)):
        mosaic = mosaics.draw(number)
        assert (pixels[index] == mosaic.pixels).all()
        assert (targets[index] == make_targets(mosaic.annotations, SIDE)).all()


def test_batches_that_are_drawn_ahead_come_in_their_order_from_any_number_on():
    mosaics = make_mosaics(PHOTO)
    batches = mosaics.iterate_batches(5, size=2)
    for number, (pixels, targets) in enumerate(islice(batches, 9), start=5):
        expected_pixels, expected_targets = mosaics.draw_batch(number, 2)
        assert (pixels == expected_pixels).all()
        assert (targets == expected_targets).all()
    batches.close()


@pytest.mark.parametrize("size", [(1, 1), (4000, 7), (7, 4000), (640, 640)])
def test_a_photo_of_any_shape_makes_a_mosaic(size):
    mosaics = make_mosaics(draw_photo((size[0] / 2, size[1] / 2, 4), size=size))
    for number in range(10):
        assert mosaics.draw(number).pixels.shape == (SIDE, SIDE, 3)


def test_brightness_and_colour_are_changed_and_never_the_photo_itself():
    before = PHOTO.pixels.copy()
    brightest = [int(mosaic.pixels.max()) for mosaic in draw_many(make_mosaics(PHOTO))]
    assert (PHOTO.pixels == before).all()
    assert min(brightest) < 200 < max(brightest)
