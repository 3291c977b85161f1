"""Slices in space: their order follows from places alone, and what is no volume is refused."""

import numpy as np
import pytest

from foveal.errors import DataError
from foveal.readers._slices import Plane, plane, stack
from scans import turned

FLAT = (1, 0, 0, 0, 1, 0)


def planes(heights, look=FLAT, spacing=(0.5, 0.75), origin=(0, 0, 0)):
    normal = np.cross(look[:3], look[3:])
    return [plane(np.asarray(origin) + h * normal, look, spacing) for h in heights]


@pytest.mark.parametrize("angle", [0, 7, 45, 90, 133])
def test_the_order_is_that_of_places_along_the_normal(angle):
    look = (turned(angle) @ np.reshape(FLAT, (2, 3)).T).T.ravel()
    order, affine = stack(planes([6, 0, 2, 4], look, origin=(9, -8, 7)), "scan")
    assert order == [1, 2, 3, 0]
    assert np.linalg.norm(affine[:3, 2]) == pytest.approx(2)
    assert np.linalg.norm(affine[:3, 0]) == pytest.approx(0.75)  # from column to column
    assert np.linalg.norm(affine[:3, 1]) == pytest.approx(0.5)
    assert affine[:3, 3] == pytest.approx([-9, 8, 7])  # left, back -> right, front


def test_a_tilted_gantry_keeps_its_shear():
    tilted = [plane((0, 0.5 * k, 2 * k), FLAT, (1, 1)) for k in range(4)]
    _, affine = stack(tilted, "scan")
    assert affine[:3, 2] == pytest.approx([0, -0.5, 2])


def test_steps_may_differ_by_rounding():
    assert stack(planes([0, 2.04, 4, 5.98]), "scan")[0] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (planes([0, 2, 4, 8, 10]), r"its 5 slices are not evenly spaced: 2 to 4 mm apart; about 1"),
        (planes([0, 2, 4, 5]), r"not evenly spaced: 1 to 2 mm apart"),
        (planes([0, 2, 2, 4]), "1 of 4 slices lie where another one lies"),
        (planes([0, 0, 0]), "2 of 3 slices lie where another one lies"),
        (planes([0, 2]) + planes([4], (0, 1, 0, 0, 0, 1)), "look different ways"),
        (planes([0, 2]) + planes([4], spacing=(1, 1)), "differ in step"),
    ],
)
def test_what_is_no_volume_is_refused(found, says):
    with pytest.raises(DataError, match=rf"{says}(.|\n)*where: scan"):
        stack(found, "scan")


def test_a_single_slice_has_a_place_too():
    order, affine = stack(planes([3]), "scan")
    assert order == [0]
    assert affine[:3, 2] == pytest.approx([0, 0, 1])


@pytest.mark.parametrize(
    ("place", "look", "spacing"),
    [
        ((), FLAT, (1, 1)),
        ((0, 0, 0), (), (1, 1)),
        ((0, 0, 0), FLAT, ()),
        ((0, 0, 0), FLAT, (0, 1)),
        ((0, 0, 0), FLAT, (1, -1)),
        ((0, 0, np.nan), FLAT, (1, 1)),
        ((0, 0, 1e9), FLAT, (1, 1)),
        ((0, 0, 0), (1, 0, 0, 1, 0, 0), (1, 1)),
        ((0, 0, 0), (2, 0, 0, 0, 1, 0), (1, 1)),
        ((0, 0, 0), (0, 0, 0, 0, 0, 0), (1, 1)),
    ],
)
def test_headers_that_make_no_sense_tell_no_place(place, look, spacing):
    assert plane(place, look, spacing) is None


def test_directions_are_brought_to_length_one():
    found = plane((0, 0, 0), (1.001, 0, 0, 0, 0.999, 0), (1, 2))
    assert isinstance(found, Plane)
    assert np.linalg.norm(found.along) == pytest.approx(1)
    assert found.normal == pytest.approx([0, 0, 1])
    assert found.step == (2, 1)
