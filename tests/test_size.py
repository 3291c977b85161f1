"""The size rules: typical sets, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.datasets.size import aspect_spread, of_clips, working_fit, working_size


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


class TestClips:
    def clips(self, *shapes, time=0):
        return of_clips(np.array(shapes), time)

    def test_few_frames_are_all_kept(self):
        size, fit, why, why_fit = self.clips((17, 48, 64), (17, 48, 64))
        assert (size, fit) == ((17, 48, 64), "stretch")
        assert (
            why
            == "17 frames, as the median clip has; of each frame: every sample has 48 x 64 cells"
        )
        assert why_fit == "of each frame: the samples have one shape (up to 1.3 is stretched)"

    def test_of_many_frames_sixteen_are_kept(self):
        size, _, why, _ = self.clips((63, 48, 64), (40, 48, 64), (32, 48, 64))
        assert size == (16, 48, 64)
        assert why.startswith(
            "16 frames at even distances, of 40 in the median clip; of each frame"
        )
        assert self.clips((24, 48, 64))[0] == (24, 48, 64)
        assert self.clips((26, 48, 64))[0] == (16, 48, 64)

    def test_frames_share_the_cells_of_a_volume(self):
        size, _, why, _ = self.clips((16, 240, 320))
        assert size == (16, 56, 72)
        assert np.prod(size) <= 4**8
        assert "brought to about 64 x 64" in why
        assert self.clips((4, 240, 320))[0] == (4, 112, 144)

    def test_length_and_shape_have_nothing_to_do_with_each_other(self):
        assert self.clips((8, 40, 40), (60, 40, 40), (20, 41, 40))[1] == "stretch"
        size, fit, _, why = self.clips((8, 40, 60), (8, 60, 40))
        assert (size, fit) == ((8, 50, 50), "pad")
        assert why.startswith("of each frame: aspects differ by 2.")

    def test_time_may_stand_anywhere(self):
        assert self.clips((48, 64, 40), time=2)[0] == (48, 64, 16)
        assert self.clips((48, 40), time=1)[0] == (48, 16)
