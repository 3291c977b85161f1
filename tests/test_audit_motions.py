"""Each motion against a slow loop over cells; turns by laws."""

import math

import numpy as np
import pytest
import torch

from foveal.evaluation.audit import motions
from foveal.layers.turning import turned, within

SIZES = ((9,), (7, 8), (5, 6, 4))
EVERY = pytest.mark.parametrize("size", SIZES, ids=str)
CHANCE = np.random.default_rng(0)


def sample(size, count=3, channels=2):
    return torch.from_numpy(CHANCE.normal(size=(count, channels, *size)))


def cells(x, where):
    """``x`` with the value of each cell taken from the cell ``where(place)`` of its own sample."""
    out = np.empty(x.shape)
    for number, one in enumerate(x.numpy()):
        for place in np.ndindex(*x.shape[2:]):
            source = where(number, np.array(place))
            out[(number, slice(None), *place)] = one[(slice(None), *source)]
    return out


@EVERY
def test_shifts_against_a_loop(size):
    x, axes = sample(size), range(len(size))
    by = np.array([[1, -2, 1], [-3, 1, 0], [0, 2, -1]])[:, : len(size)]
    last = np.array(size) - 1
    around = cells(x, lambda i, place: (place - by[i]) % size)
    behind = cells(x, lambda i, place: np.clip(place - by[i], 0, last))
    assert np.array_equal(motions.rolled(x, axes, by).numpy(), around)
    assert np.array_equal(motions.shifted(x, axes, by).numpy(), behind)
    only = motions.rolled(x, [len(size) - 1], by[:, -1:])
    rolled = [np.roll(one, int(b), -1) for one, b in zip(x.numpy(), by[:, -1], strict=True)]
    assert np.array_equal(only.numpy(), np.stack(rolled))


def test_directions_take_turns():
    found = motions.signs(np.arange(8), 3)
    assert {tuple(row) for row in found.tolist()} == {
        (a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)
    }
    assert np.array_equal(motions.signs(np.array([5]), 3), found[5:6])  # of any batch the same


@EVERY
def test_crops_are_windows_of_the_larger_sample(size):
    x = torch.zeros(4, 1, *size) + 3.0
    assert torch.allclose(motions.cropped(x, range(len(size)), np.arange(4), 0), x)
    ramp = torch.arange(16.0).expand(1, 1, 16).repeat(6, 1, 1)
    found = motions.cropped(ramp, [0], np.arange(6), 1)
    assert found.shape == ramp.shape
    assert len({round(float(one[0, 0]), 3) for one in found}) > 1  # at places of their own
    again = motions.cropped(ramp[2:3], [0], np.array([2]), 1)
    assert torch.allclose(again[0], found[2])  # and of any batch the same


@EVERY
def test_scaling_keeps_the_middle_and_the_size(size):
    axes = range(len(size))
    same = sample(size)
    assert torch.equal(motions.scaled(same, axes, 1.0), same)
    flat = torch.full((1, 1, *size), 7.0)
    for factor in (0.6, 1.7):
        assert torch.allclose(motions.scaled(flat, axes, factor), flat)
    line = torch.zeros(1, 1, 40)
    line[..., 15:25] = 1
    assert float(motions.scaled(line, [0], 1.6).sum()) == pytest.approx(16, abs=0.5)
    assert float(motions.scaled(line, [0], 0.6).sum()) == pytest.approx(6, abs=0.5)


@EVERY
def test_blur_against_a_loop(size):
    x, sigma = sample(size, 1, 1), 0.7
    taps = {i: math.exp(-(i**2) / (2 * sigma**2)) for i in range(-3, 4)}
    total, last = sum(taps.values()), np.array(size) - 1
    want = np.zeros(size)
    for place in np.ndindex(*size):
        for offset in np.ndindex(*[7] * len(size)):
            far = np.array(offset) - 3
            weight = np.prod([taps[int(i)] / total for i in far])
            at = tuple(np.clip(np.array(place) + far, 0, last))
            want[place] += weight * x[0, 0].numpy()[at]
    found = motions.blurred(x, range(len(size)), sigma)
    assert np.allclose(found[0, 0].numpy(), want, atol=1e-12)


@EVERY
def test_thicker_slices_are_means_of_neighbours(size):
    x = sample(size)
    found, lines = motions.thickened(x, 0, 2).numpy(), x.numpy()
    for start in range(0, size[0], 2):
        part = lines[:, :, start : start + 2]
        assert np.allclose(found[:, :, start : start + 2], part.mean(2, keepdims=True))


@EVERY
def test_values_against_their_definitions(size):
    x = sample(size)
    wide = (2, *[1] * len(size))
    by = torch.tensor([0.5, -1.0], dtype=torch.float64)
    assert np.allclose(motions.brighter(x, by).numpy(), x.numpy() + by.numpy().reshape(wide))
    found = motions.stretched(x, 3.0).numpy()
    for one, new in zip(x.numpy().reshape(-1, np.prod(size)), found.reshape(6, -1), strict=True):
        assert np.allclose(new, one.mean() + 3 * (one - one.mean()))
    noise = motions.noisy(x, by.abs(), np.array([4, 5, 6])) - x
    drawn = np.random.default_rng([7, 5]).normal(size=(2, *size))
    assert np.allclose(noise[1].numpy(), drawn * np.abs(by.numpy()).reshape(wide))


PLANES = (((7, 7), (0, 1)), ((8, 8), (0, 1)), ((4, 6, 6), (1, 2)), ((6, 3, 6), (0, 2)))


@pytest.mark.parametrize(("size", "plane"), PLANES, ids=str)
def test_quarter_turns_are_those_of_numpy(size, plane):
    x = sample(size)
    axes = [2 + axis for axis in plane]
    for quarter in range(4):
        want = np.rot90(x.numpy(), -quarter, (axes[1], axes[0]))
        assert np.allclose(turned(x, plane, 90.0 * quarter).numpy(), want, atol=1e-9)


def test_a_turn_against_a_loop():
    size, degrees, steps = (6, 9), 25.0, (2.0, 1.0)
    x = sample(size, 1, 1)
    values, want = x[0, 0].numpy(), np.zeros(size)
    angle, middle = math.radians(degrees), (np.array(size) - 1) / 2
    for place in np.ndindex(*size):
        up, across = (np.array(place) - middle) * steps
        source = np.array(
            [
                (math.cos(angle) * up + math.sin(angle) * across) / steps[0],
                (math.cos(angle) * across - math.sin(angle) * up) / steps[1],
            ]
        )
        at = np.clip(source + middle, 0, np.array(size) - 1)
        low = np.minimum(at.astype(int), np.array(size) - 2)
        share = at - low
        for corner in np.ndindex(2, 2):
            weight = np.prod(np.where(np.array(corner) == 1, share, 1 - share))
            want[place] += weight * values[tuple(low + corner)]
    assert np.allclose(turned(x, (0, 1), degrees, steps)[0, 0].numpy(), want, atol=1e-9)


def test_corners_lie_outside():
    inside = within((8, 8), (0, 1))
    assert not inside[0, 0]
    assert inside[4, 4]
    assert inside[0, 4]
    deep = within((3, 8, 8), (1, 2))
    assert deep.shape == (3, 8, 8)
    assert torch.equal(deep[0], inside)
    assert torch.equal(inside, inside.T)
    assert torch.equal(inside, inside.flip(0))


def test_beyond_the_edge_stands_the_mirror_image_where_that_is_asked_for():
    x = np.random.default_rng(5).normal(size=(2, 1, 12, 5))
    wide = torch.from_numpy(np.pad(x, ((0, 0), (0, 0), (5, 5), (5, 5)), mode="symmetric"))
    found = turned(torch.from_numpy(x), (0, 1), 30.0, beyond="reflection")
    torch.testing.assert_close(found, turned(wide, (0, 1), 30.0)[:, :, 5:-5, 5:-5])
    assert not torch.allclose(found, turned(torch.from_numpy(x), (0, 1), 30.0))
