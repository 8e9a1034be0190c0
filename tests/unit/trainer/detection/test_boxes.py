"""Square boxes: their corners, their IoU, and how much of them is in the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.detection.boxes import Boxes, compute_corners, compute_iou, compute_visible_shares, make_no_boxes

COORDINATES = st.floats(-100, 1000, width=32)
SIDES = st.floats(2, 1000, width=32)


@st.composite
def draw_boxes(draw: st.DrawFn) -> Boxes:
    rows = draw(st.lists(st.tuples(COORDINATES, COORDINATES, SIDES), max_size=5))
    return np.array(rows, np.float32).reshape(-1, 3)


def make_boxes(*rows: tuple[float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 3)


def test_corners_are_half_a_side_from_the_middle():
    assert compute_corners(make_boxes((10, 20, 8))).tolist() == [[6, 16, 14, 24]]
    assert compute_corners(make_no_boxes()).shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "iou"),
    [
        ((10, 10, 10), 1),
        ((15, 10, 10), 50 / 150),
        ((15, 15, 10), 25 / 175),
        ((10, 10, 5), 25 / 100),
        ((20, 10, 10), 0),
        ((90, 90, 10), 0),
    ],
)
def test_iou_is_the_intersection_over_the_union(box, iou):
    assert compute_iou(make_boxes((10, 10, 10)), make_boxes(box))[0, 0] == pytest.approx(iou)


def test_each_of_the_first_is_compared_with_each_of_the_second():
    first, second = (
        make_boxes((10, 10, 10), (50, 50, 10)),
        make_boxes((50, 50, 10), (10, 10, 10), (90, 90, 4)),
    )
    assert compute_iou(first, second).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert compute_iou(make_no_boxes(), make_boxes((1, 1, 1))).shape == (0, 1)
    assert compute_iou(make_boxes((1, 1, 1)), make_no_boxes()).shape == (1, 0)


@given(draw_boxes(), draw_boxes())
def test_iou_is_a_share_and_symmetric(first, second):
    iou = compute_iou(first, second)
    assert iou.shape == (len(first), len(second))
    assert (iou >= 0).all()
    assert (iou <= 1.001).all()
    assert iou == pytest.approx(compute_iou(second, first).T, abs=1e-6)
    assert np.diagonal(compute_iou(first, first)) == pytest.approx(np.ones(len(first)), abs=1e-3)


@pytest.mark.parametrize(
    ("box", "share"),
    [((50, 50, 20), 1), ((0, 50, 20), 0.5), ((100, 80, 20), 0.25), ((-10, 50, 20), 0), ((50, 40, 200), 0.2)],
)
def test_the_visible_share_of_a_box_is_what_lies_in_the_picture(box, share):
    assert compute_visible_shares(make_boxes(box), 100, 80)[0] == pytest.approx(share)


@given(draw_boxes(), st.integers(1, 900), st.integers(1, 900))
def test_all_of_a_box_is_visible_where_its_corners_are_in_the_picture(boxes, width, height):
    shares = compute_visible_shares(boxes, width, height)
    assert shares.shape == (len(boxes),)
    assert (shares >= 0).all()
    assert (shares <= 1.001).all()
    left, top, right, bottom = compute_corners(boxes).T
    inside = (left >= 0) & (top >= 0) & (right <= width) & (bottom <= height)
    assert shares[inside] == pytest.approx(np.ones(inside.sum()), abs=1e-3)
