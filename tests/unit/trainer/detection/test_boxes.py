"""Squares: where their corners are, how much of them overlaps, and how much of them is in the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.detection.boxes import Boxes, compute_corners, compute_iou, compute_visible_shares, make_no_boxes

PLACES = st.floats(-100, 1000, width=32)
SIDES = st.floats(2, 1000, width=32)


@st.composite
def several(draw: st.DrawFn) -> Boxes:
    rows = draw(st.lists(st.tuples(PLACES, PLACES, SIDES), max_size=5))
    return np.array(rows, np.float32).reshape(-1, 3)


def squares(*rows: tuple[float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 3)


def test_corners_are_half_a_side_from_the_middle():
    assert compute_corners(squares((10, 20, 8))).tolist() == [[6, 16, 14, 24]]
    assert compute_corners(make_no_boxes()).shape == (0, 4)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ((10, 10, 10), 1),
        ((15, 10, 10), 50 / 150),
        ((15, 15, 10), 25 / 175),
        ((10, 10, 5), 25 / 100),
        ((20, 10, 10), 0),
        ((90, 90, 10), 0),
    ],
)
def test_overlap_is_what_is_shared_of_what_both_cover(other, share):
    assert compute_iou(squares((10, 10, 10)), squares(other))[0, 0] == pytest.approx(share)


def test_each_of_the_first_is_held_against_each_of_the_second():
    found = compute_iou(squares((10, 10, 10), (50, 50, 10)), squares((50, 50, 10), (10, 10, 10), (90, 90, 4)))
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert compute_iou(make_no_boxes(), squares((1, 1, 1))).shape == (0, 1)
    assert compute_iou(squares((1, 1, 1)), make_no_boxes()).shape == (1, 0)


@given(several(), several())
def test_overlap_is_a_share_and_the_same_from_both_sides(first, second):
    found = compute_iou(first, second)
    assert found.shape == (len(first), len(second))
    assert (found >= 0).all()
    assert (found <= 1.001).all()
    assert found == pytest.approx(compute_iou(second, first).T, abs=1e-6)
    assert np.diagonal(compute_iou(first, first)) == pytest.approx(np.ones(len(first)), abs=1e-3)


@pytest.mark.parametrize(
    ("square", "share"),
    [((50, 50, 20), 1), ((0, 50, 20), 0.5), ((100, 80, 20), 0.25), ((-10, 50, 20), 0), ((50, 40, 200), 0.2)],
)
def test_of_a_square_that_much_is_visible_as_lies_in_the_picture(square, share):
    assert compute_visible_shares(squares(square), 100, 80)[0] == pytest.approx(share)


@given(several(), st.integers(1, 900), st.integers(1, 900))
def test_what_is_visible_is_a_share_and_all_of_it_where_the_corners_are_inside(found, width, height):
    shares = compute_visible_shares(found, width, height)
    assert shares.shape == (len(found),)
    assert (shares >= 0).all()
    assert (shares <= 1.001).all()
    left, top, right, bottom = compute_corners(found).T
    inside = (left >= 0) & (top >= 0) & (right <= width) & (bottom <= height)
    assert shares[inside] == pytest.approx(np.ones(inside.sum()), abs=1e-3)
