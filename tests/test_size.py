"""The size rules: typical sets, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.datasets.size import aspect_spread, working_fit, working_size


def sizes(*shapes):
    return np.array(shapes)


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(32, 32)] * 3, (32, 32)),
        ([(112, 92)] * 3, (112, 92)),
        ([(160, 160)] * 3, (160, 160)),
        ([(168, 168)] * 3, (128, 128)),
        ([(224, 224)] * 3, (128, 128)),
        ([(375, 500)] * 3, (112, 144)),
        ([(1080, 1920)] * 3, (96, 168)),
        ([(20, 30), (40, 50), (60, 300)], (40, 50)),
        ([(100_000,)], (4096,)),
        ([(187,)], (187,)),
        ([(512, 512, 128)], (64, 64, 16)),
    ],
)
def test_typical_sets(shapes, size):
    assert working_size(sizes(*shapes))[0] == size


@given(st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), min_size=1, max_size=20))
def test_never_above_the_median_nor_far_above_the_cap(shapes):
    found, why = working_size(sizes(*shapes))
    median = np.median(sizes(*shapes), axis=0)
    assert all(1 <= n <= m for n, m in zip(found, median, strict=True))
    # multiples of 8 of at least 8 can overshoot on very long strips only
    assert np.prod(found) <= 128 * 128 * 1.6 or 8 in found
    assert str(int(median[0])) in why


def test_the_reason_tells_equal_sizes_from_a_median():
    assert "every sample has 28 x 28 cells" in working_size(sizes((28, 28), (28, 28)))[1]
    assert "median sample has 30 x 30 cells" in working_size(sizes((30, 30), (30, 30), (9, 9)))[1]
    assert "about 128 x 128" in working_size(sizes((500, 500)))[1]


def test_shapes_of_one_aspect_are_stretched():
    fit, why = working_fit(sizes((10, 20), (100, 200), (33, 66)))
    assert fit == "stretch"
    assert "one shape" in why


def test_the_aspect_border_lies_at_one_point_three():
    assert working_fit(sizes((100, 100), (100, 129)))[0] == "stretch"
    fit, why = working_fit(sizes((100, 100), (100, 135)))
    assert fit == "pad"
    assert "1.3" in why


def test_upright_and_lying_pictures_are_padded():
    assert working_fit(sizes((375, 500), (500, 375)))[0] == "pad"


def test_a_few_odd_ones_do_not_decide():
    assert working_fit(sizes(*[(100, 100)] * 99, (100, 1000)))[0] == "stretch"


def test_the_spread_is_the_ratio_of_aspects():
    assert aspect_spread(sizes(*[(100, 100)] * 50, *[(100, 200)] * 50)) == pytest.approx(2)
    assert aspect_spread(sizes((5,), (500,))) == 1
