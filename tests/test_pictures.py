"""Pictures in a page: the very cells, any grid, any depth, never too large."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from foveal.drawing.pictures import COLOURS, EDGE, STRIP, overlaid, picture


def opened(uri):
    assert uri.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_small_pictures_keep_every_cell():
    x = noise(3, 20, 31)
    assert (opened(picture(x)) == x.transpose(1, 2, 0)).all()


def test_grey_becomes_three_equal_channels_and_alpha_is_dropped():
    x = noise(1, 9, 9)
    assert (opened(picture(x)) == x[0, :, :, None]).all()
    four = noise(4, 9, 9)
    assert (opened(picture(four)) == four[:3].transpose(1, 2, 0)).all()
    assert opened(picture(noise(2, 9, 9))).shape == (9, 9, 3)


@pytest.mark.parametrize("size", [(300, 150), (150, 3000), (5000, 5000)])
def test_large_pictures_shrink_and_keep_their_shape(size):
    height, width = opened(picture(np.zeros((1, *size), np.uint8))).shape[:2]
    assert max(height, width) == EDGE
    assert height / width == pytest.approx(size[0] / size[1], rel=0.25)


def test_values_are_mapped_from_low_to_high():
    x = np.array([[[-100.0, 0.0, 50.0, 100.0, 900.0, np.nan]]])
    got = opened(picture(x, low=(0.0,), high=(100.0,)))[0, :, 0]
    assert got.tolist() == [0, 0, 128, 255, 255, 0]
    x = np.array([[[10.0]], [[20.0]], [[30.0]]])
    got = opened(picture(x, low=(10, 10, 10), high=(20, 20, 20)))
    assert (got == [0, 255, 255]).all()


def test_constant_range_does_not_divide_by_zero():
    assert opened(picture(np.full((1, 4, 4), 7.0), low=(7.0,), high=(7.0,))).max() == 0


def test_other_grids_are_shown_too():
    volume = noise(1, 7, 12, 10)
    assert (opened(picture(volume))[..., 0] == volume[0, 3]).all()
    signal = noise(1, 50)
    strip = opened(picture(signal))
    assert strip.shape == (STRIP, 50, 3)
    assert (strip[..., 0] == signal[0]).all()


def test_masks_colour_their_classes_and_leave_the_background_bare():
    x, mask = noise(1, 8, 8), np.zeros((8, 8), np.uint8)
    mask[2:4], mask[4:6] = 1, 255
    drawn = opened(overlaid(x, mask, void=255, bare=[0], share=0.5)).astype(float)
    grey = x[0, :, :, None].astype(float).repeat(3, 2)
    assert np.array_equal(drawn[mask == 0], grey[mask == 0])
    want = (grey[mask == 1] + np.array(COLOURS[1])) / 2
    assert np.abs(drawn[mask == 1] - want).max() <= 1
    assert np.abs(drawn[mask == 255] - (grey[mask == 255] + 128) / 2).max() <= 1
    tinted = opened(overlaid(x, mask, void=255)).astype(float)
    assert (tinted[mask == 0] != grey[mask == 0]).any()
