"""prepare: its stated rules, one by one, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveal.datasets.prepare import grey, has_colour, on_white, prepare, with_channels, with_depth
from foveal.errors import DataError
from foveal.layers.resample import resize
from foveal.plan import DataPart
from made import pictures


def part(size, channels=3, fit="stretch", dtype="uint8"):
    return DataPart(size, channels, fit, (0.0,), (1.0,), (0.0,), (1.0,), 0.1, 0.1, dtype)


@pytest.mark.parametrize("size", [(9,), (6, 7), (4, 5, 6)])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_what_fits_already_is_left_alone(size, fit):
    (x,) = pictures(1, size)
    assert np.array_equal(prepare(x, part(size, fit=fit)), x)


@pytest.mark.parametrize("old", [(9,), (6, 9), (4, 5, 9)])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_shape_and_dtype_come_out_as_planned(old, fit, dtype):
    size = tuple(n + 2 for n in old[::-1])
    (x,) = pictures(1, old, dtype=dtype)
    out = prepare(x, part(size, fit=fit, dtype=dtype))
    assert out.shape == (3, *size)
    assert out.dtype == ("uint8" if dtype == "uint8" else "float32")


def test_stretch_is_the_resize_of_the_layers():
    (x,) = pictures(1, (30, 20))
    wanted = resize(torch.from_numpy(x)[None], (8, 8))[0].numpy()
    assert np.array_equal(prepare(x, part((8, 8))), wanted)


def test_pad_keeps_the_aspect_and_fills_with_the_mean():
    x = np.full((1, 4, 8), 10, np.uint8)
    x[:, :, 4:] = 30
    out = prepare(x, part((8, 8), channels=1, fit="pad"))
    assert (out[0, :2] == 20).all()
    assert (out[0, 6:] == 20).all()
    assert np.array_equal(out[0, 2:6], x[0])


def test_crop_keeps_the_centre():
    x = np.zeros((1, 4, 8), np.uint8)
    x[:, :, 2:6] = 200
    assert (prepare(x, part((4, 4), channels=1, fit="crop")) == 200).all()


def test_a_thin_strip_can_be_padded():
    assert prepare(np.ones((1, 1, 500), np.uint8), part((8, 8), 1, "pad")).shape == (1, 8, 8)


def test_grey_is_repeated_for_a_colour_net():
    (x,) = pictures(1, (4, 4), channels=1)
    assert np.array_equal(prepare(x, part((4, 4))), np.repeat(x, 3, 0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_equal_channels_are_grey_to_the_last_bit(dtype):
    top = 65535 if dtype == "uint16" else 255
    x = np.linspace(0, top, 400).astype(dtype).reshape(1, 20, 20)
    assert np.array_equal(grey(np.repeat(x, 3, 0)), x)


def test_luma_agrees_with_pillow():
    from PIL import Image

    (x,) = pictures(1, (50, 40))
    wanted = np.asarray(Image.fromarray(x.transpose(1, 2, 0)).convert("L"))
    assert np.array_equal(grey(x)[0], wanted)
    assert np.abs(grey(x.astype(np.float32))[0] - wanted).max() < 0.51


def test_clear_pixels_are_white_and_full_ones_stay():
    (colour,) = pictures(1, (4, 4))
    for alpha, wanted in ((0, np.full_like(colour, 255)), (255, colour)):
        x = np.concatenate([colour, np.full((1, 4, 4), alpha, np.uint8)])
        assert np.array_equal(prepare(x, part((4, 4))), wanted)
    half = np.array([100, 128], np.uint8).reshape(2, 1, 1)
    assert on_white(half).item() == round((100 * 128 + 255 * 127) / 255)


def test_deep_and_float_alpha_are_white_too():
    assert on_white(np.array([7, 0], np.uint16).reshape(2, 1, 1)).item() == 65535
    assert on_white(np.array([0.5, 0.0], np.float32).reshape(2, 1, 1)).item() == 1


def test_four_channels_stay_where_the_set_has_four():
    (x,) = pictures(1, (4, 4), channels=4)
    assert np.array_equal(prepare(x, part((4, 4), channels=4)), x)


def test_white_stays_white_between_depths():
    eight, sixteen = np.array([[0, 255]], np.uint8), np.array([[0, 65535]], np.uint16)
    assert with_depth(eight, "uint16").tolist() == [[0, 65535]]
    assert with_depth(sixteen, "uint8").tolist() == [[0, 255]]
    every = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(with_depth(with_depth(every, "uint16"), "uint8"), every)


def test_other_numbers_are_taken_as_they_stand():
    assert prepare(np.array([[-5.0, 16.4, 300.0]]), part((3,), 1)).tolist() == [[0, 16, 255]]
    deep = prepare(np.array([[-1000, 3000]], np.int32), part((2,), 1, dtype="float32"))
    assert deep.tolist() == [[-1000, 3000]]
    assert prepare(np.array([[True, False]]), part((2,), 1)).tolist() == [[1, 0]]


def test_colour_is_any_difference():
    x = np.zeros((3, 5, 5), np.uint8)
    assert not has_colour(x)
    x[2, 4, 4] = 1
    assert has_colour(x)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((5, 4, 4), np.uint8), r"5 channels where the set has 3"),
        (np.zeros((3, 4), np.uint8), r"shape \(4,\) where 2 axes"),
        (np.zeros((3, 0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.full((3, 4, 4), np.nan), r"not finite"),
        (np.zeros((3, 4, 4), complex), r"not finite numbers"),
    ],
)
def test_what_cannot_be_used_is_named(x, says):
    with pytest.raises(DataError, match=says + r"(.|\n)*where: leaf\.png(.|\n)*mend:  \w"):
        prepare(x, part((4, 4)), key="leaf.png")


def test_channels_alone():
    (x,) = pictures(1, (4, 4))
    assert with_channels(x, 3) is x
    assert with_channels(x, 1).shape == (1, 4, 4)


def clip_part(size, fit="stretch", time=0, channels=1):
    return replace(part(size, channels, fit), sampled=(time,))


class TestFrames:
    """Clips: whole frames are picked, and each is scaled by itself."""

    def numbered(self, count, size=(4, 6)):
        return np.broadcast_to(
            np.arange(count, dtype=np.uint8)[None, :, None, None], (1, count, *size)
        ).copy()

    @given(st.integers(1, 80), st.integers(1, 40))
    def test_each_comes_from_the_middle_of_its_span(self, there, wanted):
        out = prepare(self.numbered(there), clip_part((wanted, 4, 6)))[0, :, 0, 0]
        for place, value in enumerate(out.tolist()):
            low, high = place * there / wanted, (place + 1) * there / wanted
            assert low - 1 < value < high + 1
            assert value == int((low + high) / 2)
        assert (np.diff(out.astype(int)) >= 0).all()
        if there == wanted:
            assert out.tolist() == list(range(there))

    def test_no_frame_is_blended(self):
        x = self.numbered(40)
        x[:, 1::2] = 255
        out = prepare(x, clip_part((7, 2, 3)))
        assert set(np.unique(out).tolist()) <= {*range(0, 40, 2), 255}

    @pytest.mark.parametrize("fit", ["stretch", "crop"])
    @pytest.mark.parametrize("time", [0, 1, 2])
    def test_each_frame_is_what_it_would_be_as_a_picture(self, fit, time):
        size = [8, 8, 8]
        size[time] = 5
        (x,) = pictures(1, (9, 10, 13), channels=1)
        out = np.moveaxis(prepare(x, clip_part(tuple(size), fit, time)), 1 + time, 0)
        frames = np.moveaxis(x, 1 + time, 0)
        for place, frame in enumerate(out):
            one = frames[(2 * place + 1) * len(frames) // 10]
            alone = prepare(one, part((8, 8), 1, fit))
            assert np.abs(frame.astype(int) - alone).max() <= 1

    def test_a_short_clip_shows_its_frames_longer(self):
        out = prepare(self.numbered(3), clip_part((7, 4, 6)))
        assert out[0, :, 0, 0].tolist() == [0, 0, 1, 1, 1, 2, 2]

    def test_space_alone_decides_how_much_is_padded(self):
        x = np.full((1, 60, 4, 8), 10, np.uint8)
        out = prepare(x, clip_part((6, 8, 8), "pad"))
        assert out.shape == (1, 6, 8, 8)
        assert (out == 10).all()
