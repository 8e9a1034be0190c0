"""Canvases: what is marked as a face is where the face is drawn, and is left open where little is shown.

Faces are white discs: turned, they have the same sides, and they stay brighter than all around them.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from trainer.detection.boxes import (
    Annotations,
    Boxes,
    compute_corners,
    compute_iou,
    compute_visible_shares,
    make_no_boxes,
)
from trainer.detection.mosaics import AnnotatedImage, Mosaics, annotate_whole_image
from trainer.detection.targets import make_targets
from worker.inference.decode import Pixels

SIDE = 128
MANY = 250


def squares(*rows: tuple[float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 3)


def photo(
    *discs: tuple[float, float, float], size: tuple[int, int] = (240, 180), doubted: bool = False
) -> AnnotatedImage:
    """Draw a dark photo with white discs, which are its faces, or where there may be some."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    pixels = np.full((size[1], size[0], 3), 20, np.uint8)
    for across, down, side in discs:
        pixels[(x - across) ** 2 + (y - down) ** 2 <= (side / 2) ** 2] = 255
    marked = squares(*discs)
    return AnnotatedImage(
        pixels, Annotations(make_no_boxes(), marked) if doubted else Annotations(marked, make_no_boxes())
    )


def canvases(*photos: AnnotatedImage, faces: tuple[AnnotatedImage, ...] = (), seed: int = 0) -> Mosaics:
    return Mosaics(photos, faces, SIDE, seed)


def drawn(source: Mosaics) -> Iterator[AnnotatedImage]:
    return (source.canvas(number) for number in range(MANY))


def bright(pixels: Pixels) -> NDArray[np.bool_]:
    light = pixels.mean(axis=2)
    return np.asarray(light > (light.min() + light.max()) / 2)


def bright_around(canvas: AnnotatedImage, square: NDArray[np.float32]) -> Boxes:
    """Measure the bright patch in which a square's middle lies."""
    numbers, _ = ndimage.label(bright(canvas.pixels))
    down, across = ndimage.find_objects(numbers)[numbers[int(square[1]), int(square[0])] - 1]
    wide, high = across.stop - across.start, down.stop - down.start
    return squares((across.start + wide / 2, down.start + high / 2, max(wide, high)))


def assert_marks_follow(found: list[tuple[AnnotatedImage, NDArray[np.float32]]]) -> None:
    whole = [
        (canvas, square)
        for canvas, square in found
        if square[2] >= 16 and compute_visible_shares(square[None], SIDE, SIDE)[0] > 0.999
    ]
    assert len(whole) > MANY / 5
    for canvas, square in whole:
        assert compute_iou(square[None], bright_around(canvas, square))[0, 0] >= 0.8


FACE = photo((150, 60, 50))


def test_marks_follow_the_face_however_the_photo_is_placed_mirrored_and_turned():
    found = [(canvas, square) for canvas in drawn(canvases(FACE)) for square in canvas.marks.faces]
    assert_marks_follow(found)
    sides = np.array([square[2] for _, square in found])
    assert sides.min() < 20
    assert sides.max() > 100


def test_marks_follow_where_there_may_be_a_face():
    source = canvases(photo((150, 60, 50), doubted=True))
    found = [(canvas, square) for canvas in drawn(source) for square in canvas.marks.doubtful]
    assert_marks_follow(found)
    assert not any(len(canvas.marks.faces) for canvas in drawn(source))


def test_pictures_that_are_faces_are_marked_from_edge_to_edge():
    face = AnnotatedImage(
        np.full((48, 48, 3), 255, np.uint8), annotate_whole_image(np.empty((48, 48, 3), np.uint8))
    )
    grids = [
        canvas
        for canvas in drawn(canvases(photo(), faces=(face,)))
        if len(canvas.marks.faces) > 1 and np.ptp(canvas.pixels.mean(axis=2)) > 40
    ]
    assert len(grids) > 10
    for canvas in grids:
        marked = np.zeros((SIDE, SIDE), bool)
        for left, top, right, bottom in compute_corners(canvas.marks.faces).round().astype(int):
            marked[top:bottom, left:right] = True
        seen = bright(canvas.pixels)
        assert (marked & seen).sum() >= 0.8 * (marked | seen).sum()


def test_a_face_that_is_cut_off_becomes_doubtful_and_one_that_is_gone_is_not_told():
    counted, open_to_doubt, gone = [], [], 0
    for canvas in drawn(canvases(photo((30, 20, 36)))):
        counted += list(canvas.marks.faces)
        open_to_doubt += list(canvas.marks.doubtful)
        gone += not len(canvas.marks.faces) + len(canvas.marks.doubtful)
    assert len(counted) + len(open_to_doubt) + gone == MANY
    assert len(open_to_doubt) > 5
    assert gone > 5
    shares = compute_visible_shares(np.stack(counted), SIDE, SIDE)
    assert shares.min() >= 0.6
    for square in open_to_doubt:
        is_inside = (square[:2] >= 0).all() and (square[:2] < SIDE).all()
        share = compute_visible_shares(square[None], SIDE, SIDE)[0]
        assert share >= 0.15
        assert share < 0.6 or not is_inside or square[2] < 7


def test_faces_under_7_pixels_are_doubtful():
    found = [canvas.marks for canvas in drawn(canvases(photo((200, 150, 12), size=(400, 300))))]
    faces = np.concatenate([marks.faces for marks in found])
    doubtful = np.concatenate([marks.doubtful for marks in found])
    assert len(faces) > 50
    assert faces[:, 2].min() >= 7
    small = doubtful[doubtful[:, 2] < 7]
    assert len(small) > 20
    assert compute_visible_shares(small, SIDE, SIDE).max() > 0.99


def test_the_same_number_and_seed_give_the_same_canvas():
    face = AnnotatedImage(
        np.full((48, 48, 3), 200, np.uint8), annotate_whole_image(np.empty((48, 48, 3), np.uint8))
    )
    one, same, other = (canvases(FACE, photo(), faces=(face,), seed=seed) for seed in (3, 3, 4))
    for number in (0, 1, 7, 1000):
        first, again, different = (source.canvas(number) for source in (one, same, other))
        assert (first.pixels == again.pixels).all()
        assert (first.marks.faces == again.marks.faces).all()
        assert (first.marks.doubtful == again.marks.doubtful).all()
        assert (first.pixels != different.pixels).any()
        assert (first.pixels != one.canvas(number + 1).pixels).any()


def test_a_batch_holds_the_canvases_of_its_number_with_their_targets():
    source = canvases(FACE, photo())
    pixels, wanted = source.batch(2, 4)
    assert (pixels.shape, pixels.dtype) == ((4, SIDE, SIDE, 3), np.uint8)
    assert (wanted.shape, wanted.dtype) == ((4, SIDE // 8, SIDE // 8, 6), np.float32)
    for place, number in enumerate(range(8, 12)):
        canvas = source.canvas(number)
        assert (pixels[place] == canvas.pixels).all()
        assert (wanted[place] == make_targets(canvas.marks, SIDE)).all()


@pytest.mark.parametrize("size", [(1, 1), (4000, 7), (7, 4000), (640, 640)])
def test_a_photo_of_any_shape_makes_a_canvas(size):
    source = canvases(photo((size[0] / 2, size[1] / 2, 4), size=size))
    for number in range(10):
        assert source.canvas(number).pixels.shape == (SIDE, SIDE, 3)


def test_light_and_colour_are_changed_and_never_the_photo_itself():
    before = FACE.pixels.copy()
    lightest = [int(canvas.pixels.max()) for canvas in drawn(canvases(FACE))]
    assert (FACE.pixels == before).all()
    assert min(lightest) < 200 < max(lightest)
