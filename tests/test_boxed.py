"""Boxes: cells move exactly, a slow reference agrees, and scale does not follow the file's step."""

import numpy as np
import pytest

from foveal.datasets.boxed import boxed
from foveal.datasets.prepare import prepare
from foveal.grid import Axis, Grid
from foveal.plan import DataPart

SIZES = [(9,), (6, 9), (4, 5, 7)]


def values(shape, channels=2, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(100, 30, (channels, *shape)).astype(dtype)


def slow(x, size, scale):
    """Each new cell by itself, from its place in the old grid; NaN outside."""
    out = np.full((len(x), *size), np.nan)
    for at in np.ndindex(*size):
        weights, inside = [], True
        for n, new, s, i in zip(x.shape[1:], size, scale, at, strict=True):
            centre = n / 2 + (i - (new - 1) / 2) * s
            inside &= 0 <= centre <= n
            weight = np.array([max(0, 1 - abs(j + 0.5 - centre) / max(s, 1)) for j in range(n)])
            weights.append(weight)
        if not inside:
            continue
        total = x.astype(np.float64)
        for weight in reversed(weights):
            total = total @ (weight / weight.sum())
        out[(slice(None), *at)] = total
    return out


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("more", [-2, 0, 3])
def test_a_slow_reference_agrees(shape, factor, more):
    x = values(shape)
    size = tuple(max(1, round(n / factor) + more) for n in shape)
    scale = tuple(factor * (1 + 0.3 * i) for i in range(len(shape)))
    found, wanted = boxed(x, size, scale), slow(x, size, scale)
    inside = ~np.isnan(wanted)
    if factor != 1.0:  # equal steps are moved by whole cells instead
        assert np.allclose(found[inside], wanted[inside], rtol=1e-4, atol=1e-3)
        for channel, kept in zip(found, inside, strict=True):
            assert np.allclose(channel[~kept], channel[kept].mean(), rtol=1e-4)
    assert found.shape == (2, *size)
    assert found.dtype == np.float32


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("shape", SIZES)
def test_equal_steps_move_cells_and_change_none(shape, dtype):
    x = values(shape, dtype=dtype)
    larger = boxed(x, tuple(n + 3 for n in shape), (1.0005,) * len(shape))
    assert larger.dtype == dtype
    middle = tuple(slice(1, 1 + n) for n in shape)
    assert np.array_equal(larger[(slice(None), *middle)], x)
    assert larger[0].ravel()[0] == pytest.approx(x[0].mean(dtype=np.float64), abs=0.5)
    smaller = boxed(x, tuple(n - 2 for n in shape), (1.0,) * len(shape))
    cut = tuple(slice(1, n - 1) for n in shape)
    assert np.array_equal(smaller, x[(slice(None), *cut)])
    assert np.array_equal(boxed(x, shape, (1.0,) * len(shape)), x)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_constant_stays_constant(rank):
    for scale in (0.3, 1.0, 4.0):
        out = boxed(np.full((1, *(7,) * rank), 3.0, np.float32), (5,) * rank, (scale,) * rank)
        assert out == pytest.approx(np.full_like(out, 3.0))


def test_mirrored_in_mirrored_out():
    x = values((8, 9, 5))
    for scale in ((1.3, 0.7, 1.9), (0.5, 2.2, 1.1)):
        out = boxed(x, (6, 7, 8), scale)
        turned = boxed(x[:, ::-1, :, ::-1], (6, 7, 8), scale)
        assert np.allclose(turned, out[:, ::-1, :, ::-1], rtol=1e-5, atol=1e-3)


def test_a_scan_smaller_than_one_cell_leaves_its_mean():
    out = boxed(values((2, 2)), (4, 4), (9.0, 9.0))
    assert np.isfinite(out).all()


def ball(step, radius=9.0, extent=30.0):
    """A ball of ``radius`` mm in cells of ``step`` mm, with soft borders."""
    places = [(np.arange(round(extent / s)) + 0.5) * s - extent / 2 for s in step]
    away = np.sqrt(sum(p**2 for p in np.meshgrid(*places, indexing="ij")))
    return np.clip((radius - away) / 1.5 + 0.5, 0, 1).astype(np.float32)[None]


def part(size, step, fit="spacing"):
    ends = ((0.0,), (1.0,), (0.0,), (1.0,), 0.1, 0.1)
    return DataPart(size, 1, fit, *ends, dtype="float32", step=step)


@pytest.mark.parametrize(
    "step", [(1.0, 1.0, 1.0), (2.0, 0.75, 0.75), (0.6, 1.5, 1.0), (3.0, 1.0, 1.0)]
)
def test_one_organ_at_two_steps_comes_out_at_one_scale(step):
    axes = tuple(Axis(n, s, "mm") for n, s in zip("zyx", step, strict=True))
    data = part((24, 24, 24), (1.2, 1.2, 1.2))
    x = ball(step)
    out = prepare(x, data, grid=Grid(axes, x.shape[1:]))
    wanted = 4 / 3 * np.pi * 9**3
    assert out.sum() * 1.2**3 == pytest.approx(wanted, rel=0.04)
    # while stretching would have made another ball of each extent
    small = ball(step, extent=24.0)
    again = prepare(small, data, grid=Grid(axes, small.shape[1:]))
    assert (again > 0.5).sum() == pytest.approx((out > 0.5).sum(), rel=0.06)


def test_a_sample_without_steps_counts_as_one_that_has_them():
    x = values((5, 5, 5), channels=1)
    data = part((7, 7, 7), (2.0, 2.0, 2.0))
    plain = prepare(x, data)
    cells = prepare(x, data, grid=Grid(tuple(Axis(n) for n in "zyx"), (5, 5, 5)))
    assert np.array_equal(plain, cells)
    assert np.array_equal(plain[:, 1:6, 1:6, 1:6], x)
