"""Common steps and boxes, worked by hand; CT keeps its units, MR does not."""

import math

import numpy as np
import pytest

from foveal.datasets.size import ABOVE, most_cells
from foveal.datasets.spacing import common_step, lowest, measured, working_box, working_scale
from foveal.datasets.survey import survey
from foveal.grid import IMAGE_AXES, Axis
from scans import nifti


def box(sizes, steps):
    return working_box(np.array(sizes), np.array(steps, float))


def test_the_common_step_is_the_median():
    steps = np.array([(1, 1, 1), (2, 1, 0.5), (3, 1, 0.5)], float)
    step, why = common_step(steps, np.full((3, 3), 50))
    assert step == (2.0, 1.0, 0.5)
    assert why == "the median step of the scans"


def test_a_coarse_axis_takes_its_tenth_percentile():
    """Target spacing of nnU-Net: only where the axis is coarse and short as well."""
    steps = np.array([(s, 1, 1) for s in (2, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6)], float)
    short = np.array([(14, 256, 224)] * 11)
    step, why = common_step(steps, short)
    assert step[0] == pytest.approx(np.percentile(steps[:, 0], 10))
    assert step[1:] == (1, 1)
    assert "tenth percentile" in why
    assert common_step(steps, np.array([(100, 256, 224)] * 11))[0][0] == 5


def test_the_coarse_axis_never_becomes_finer_than_the_others():
    steps = np.array([(0.5, 1, 1)] * 3 + [(9, 1, 1)] * 8, float)
    step, _ = common_step(steps, np.array([(14, 256, 224)] * 11))
    assert step[0] == pytest.approx(1.00001)


def test_equal_scans_keep_their_cells():
    size, step, why = box([(30, 40, 30)] * 5, [(1, 1, 1)] * 5)
    assert (size, step) == ((30, 40, 30), (1, 1, 1))
    assert "30 x 40 x 30 cells of 1 x 1 x 1 mm" in why


def test_other_steps_change_cells_and_not_the_extent():
    fine, coarse = ((40, 40, 40), (0.5,) * 3), ((10, 10, 10), (2,) * 3)
    size, step, _ = box([fine[0], (20, 20, 20), coarse[0]], [fine[1], (1, 1, 1), coarse[1]])
    assert (size, step) == ((20, 20, 20), (1, 1, 1))


def test_the_box_holds_nineteen_of_twenty_and_no_giant():
    sizes = [(20, 20, 20)] * 50 + [(24, 20, 20)] * 50
    assert box(sizes, [(1, 1, 1)] * 100)[0] == (24, 20, 20)
    sizes[-1] = (400, 20, 20)
    assert box(sizes, [(1, 1, 1)] * 100)[0] == (24, 20, 20)
    many = [(20, 20, 20)] * 60 + [(400, 20, 20)] * 40
    assert box(many, [(1, 1, 1)] * 100)[0] == (30, 20, 20)


@pytest.mark.parametrize(
    ("size", "step"),
    [
        ((128, 512, 512), (2.5, 0.8, 0.8)),
        ((300, 512, 512), (1, 0.7, 0.7)),
        ((20, 512, 512), (5, 0.4, 0.4)),
        ((3000, 2500), (0.14, 0.14)),
    ],
)
def test_large_scans_are_coarsened_to_the_cap(size, step):
    found, coarse, why = box([size] * 3, [step] * 3)
    cap = most_cells(len(size))
    assert 0.7 * cap < math.prod(found) <= cap * ABOVE
    assert "coarsened" in why
    extent = np.multiply(size, step)
    assert np.multiply(found, coarse) == pytest.approx(extent, rel=0.12)
    assert max(coarse) / min(coarse) < 2.1  # what was fine gives way before what was coarse
    assert all(c >= s for c, s in zip(coarse, step, strict=True))


def test_thick_slices_are_kept_while_fine_axes_give_way():
    size, step, _ = box([(20, 128, 128)] * 3, [(5, 0.8, 0.8)] * 3)
    assert size[0] == 20
    assert step[0] == 5
    assert 0.8 < step[1] < 2.5
    _, step, _ = box([(20, 512, 512)] * 3, [(5, 0.8, 0.8)] * 3)
    assert step[0] / step[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("modes", "low", "scale", "says"),
    [
        ({"CT"}, 0.0, "set", "Hounsfield"),
        ({"CT"}, -1000.0, "set", "Hounsfield"),
        ({"NIfTI"}, -1024.0, "set", "down to -1024"),
        ({"NIfTI", "CT"}, -1000.0, "set", "Hounsfield"),
        ({"NIfTI"}, 0.0, "sample", "NIfTI: values have no unit"),
        ({"MR"}, 0.0, "sample", "MR: values have no unit"),
        ({"MR"}, -4096.0, "sample", "MR"),
        ({"CT", "MR"}, -1000.0, "sample", "CT and MR"),
    ],
)
def test_units_decide_the_scale(modes, low, scale, says):
    found, why = working_scale(modes, low)
    assert found == scale
    assert says in why


def test_lowest_leaves_out_stray_cells():
    x = np.zeros((1, 100, 100, 10), np.int16)
    x[0, 0, :50, 0] = -3000
    assert lowest(x) == 0
    assert lowest(np.full((1, 9, 9), -1000, np.int16)) == -1000


def test_only_millimetres_measure():
    assert measured(tuple(Axis(n, 1.0, "mm") for n in "zyx"))
    assert not measured(IMAGE_AXES)
    assert not measured((Axis("time", 0.1, "s", "time", False), Axis("x", 1, "mm")))


def scans(root, values, count=24, step=1.0, sizes=((6, 7, 8), (7, 8, 9))):
    from foveal.datasets.layouts import find_listing

    for i in range(count):
        shape = tuple(round(n / step) for n in sizes[i % 2 if i < count - 1 else 0])
        path = root / ("a", "b")[i % 2] / f"{i}.nii.gz"
        nifti(path, values(i, shape), np.diag([step, step, step, 1]))
    return find_listing(root)


def test_mr_is_stored_at_its_own_mean_and_spread(tmp_path):
    rng = np.random.default_rng(0)
    gains = rng.uniform(0.5, 20, 24)

    def values(i, shape):
        return (rng.gamma(2, 100, shape) * gains[i]).astype(np.float32)

    found = survey(scans(tmp_path, values))
    assert (found.card.scale, found.card.dtype, found.card.fit) == ("sample", "float32", "spacing")
    rows = found.store.gather(np.arange(24)).numpy()
    assert rows.reshape(24, -1).mean(1) == pytest.approx(np.zeros(24), abs=0.02)
    spread = rows.reshape(24, -1).std(1)
    assert spread.max() / spread.min() < 1.6  # padding alone makes the difference
    assert found.card.axes[0].step == 1
    assert "no unit" in found.card.why["scale"]


def test_ct_is_stored_in_hounsfield_units(tmp_path):
    rng = np.random.default_rng(0)

    def values(_, shape):
        return rng.integers(-1000, 1000, shape).astype(np.int16)

    found = survey(scans(tmp_path, values, sizes=((6, 7, 8), (6, 7, 8))))
    assert (found.card.scale, found.card.fit) == ("set", "spacing")
    assert found.card.low[0] < -990
    assert found.store.gather(np.arange(3)).numpy().min() < -990
