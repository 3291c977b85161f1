"""One orientation for every scan: cells move to where they lie in the patient, none is changed."""

import itertools

import nibabel
import numpy as np
import pytest

from foveal.errors import DataError
from foveal.readers._scan import MOST_CELLS, finite, restored, scaled, turn, volume, within
from scans import affine

ORDERS = list(itertools.permutations(range(3)))
SIGNS = list(itertools.product((1, -1), repeat=3))


def cells(shape=(3, 4, 5), channels=1):
    return np.arange(channels * np.prod(shape), dtype=np.int16).reshape(channels, *shape)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("angle", [0.0, 20.0])
def test_all_48_ways_to_lie_come_out_as_nibabel_turns_them(order, signs, angle):
    matrix = affine(order, signs, (0.5, 1.5, 2.5), angle, (3, -7, 11))
    values = cells(channels=2)
    sample = volume("scan", values, matrix, "MR")
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(values[1], matrix))
    assert np.array_equal(sample.x[1], np.asarray(image.dataobj).transpose(2, 1, 0))
    steps = tuple(axis.step for axis in sample.grid.axes)
    assert steps == pytest.approx(tuple(image.header.get_zooms()[::-1]), rel=1e-6)
    assert [axis.name for axis in sample.grid.axes] == ["z", "y", "x"]
    assert {axis.unit for axis in sample.grid.axes} == {"mm"}
    assert all(axis.mirrors for axis in sample.grid.axes)
    assert sample.grid.size == sample.x.shape[1:]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("signs", SIGNS)
def test_restored_undoes_it(order, signs):
    matrix = affine(order, signs, (1, 2, 3), 10.0)
    values = cells(channels=2)
    sample = volume("scan", values, matrix, "MR")
    assert np.array_equal(restored(sample.x, sample.affine), values)


def test_the_world_place_of_a_marked_cell_is_kept():
    """Slow reference: the marked cell's millimetres order it along right, front and up."""
    matrix = affine((2, 0, 1), (-1, 1, -1), (1, 1, 1), 15.0)
    values = np.zeros((1, 4, 5, 6), np.uint8)
    marks = [(0, 0, 0), (3, 4, 5), (1, 2, 3)]
    for number, mark in enumerate(marks, 1):
        values[(0, *mark)] = number
    x = volume("scan", values, matrix, "MR").x[0]
    world = [(matrix @ (*mark, 1))[:3] for mark in marks]
    place = [np.argwhere(x == number)[0][::-1] for number in (1, 2, 3)]
    for axis in range(3):
        assert np.array_equal(
            np.argsort([w[axis] for w in world]), np.argsort([p[axis] for p in place])
        )


def test_turn_names_axes_and_directions():
    assert turn(np.eye(4)) == ((2, 1, 0), (False, False, False))
    assert turn(np.diag([-1.0, -1, 1, 1])) == ((2, 1, 0), (False, True, True))


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.diag([1.0, np.nan, 1, 1]), "not told by finite numbers"),
        (np.diag([1.0, 1e300, 1, 1]), "not told by finite numbers"),
        (np.diag([1.0, 0, 1, 1]), r"cells of 1 x 0 x 1 mm make no sense"),
        (np.diag([1.0, 1e5, 1, 1]), "make no sense"),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "same way"),
    ],
)
def test_places_that_make_no_sense_are_refused(matrix, says):
    with pytest.raises(DataError, match=rf"{says}(.|\n)*where: scan\.nii"):
        volume("scan.nii", cells(), matrix, "MR")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_plain_values_stay_as_they_are(dtype):
    values = cells().astype(dtype)
    assert scaled(values, 1.0, 0.0, "scan") is values


@pytest.mark.parametrize(
    ("values", "slope", "intercept", "dtype"),
    [
        (np.array([0, 4095], np.uint16), 1.0, -1024.0, np.int16),
        (np.array([0, 255], np.uint8), 2.0, 0.0, np.int16),
        (np.array([0, 65535], np.uint16), 1.0, -1024.0, np.int32),
        (np.array([-32768, 32767], np.int16), -3.0, 7.0, np.int32),
        (np.array([0, 2**31], np.uint32), 2.0, 0.0, np.float32),
        (np.array([0, 4095], np.uint16), 0.5, 0.0, np.float32),
        (np.array([0.5, 1.5], np.float32), 2.0, 1.0, np.float32),
        (np.array([0, 1], np.int16), 1e300, 0.0, np.float32),
    ],
)
def test_scaling_is_exact_where_results_are_whole(values, slope, intercept, dtype):
    out = scaled(values, slope, intercept, "scan")
    assert out.dtype == dtype
    wanted = values.astype(object) * slope + intercept
    with np.errstate(over="ignore"):
        assert np.array_equal(out, np.array(wanted, np.float64).astype(dtype))


def test_scaling_keeps_the_shape_of_turned_arrays():
    values = cells().transpose(0, 3, 1, 2)
    assert np.array_equal(scaled(values, 2.0, 1.0, "scan"), values * 2 + 1)


@pytest.mark.parametrize("pair", [(np.nan, 0.0), (1.0, np.inf)])
def test_scaling_by_what_is_no_number_is_refused(pair):
    with pytest.raises(DataError, match=r"scaled by (.|\n)*where: scan"):
        scaled(cells(), *pair, "scan")


def test_limits_and_finite_values():
    within((1, 2**9, 2**9, 2**9), "scan")
    with pytest.raises(DataError, match=f"more than the limit of {MOST_CELLS:,}"):
        within((1, 2**9, 2**9, 2**9 + 1), "scan")
    with pytest.raises(DataError, match=r"no cells: its shape is \(1, 0, 3\)"):
        within((1, 0, 3), "scan")
    for bad in (np.nan, np.inf):
        with pytest.raises(DataError, match="not finite"):
            finite(np.array([0.0, bad]), "scan")
    assert finite(np.array([1, 2]), "scan").tolist() == [1, 2]
