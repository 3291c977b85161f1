"""Pooling: definitions, border and mask that never count, laws, messages."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import (
    AdaptivePool,
    AveragePool,
    GlobalPool,
    GridPool,
    MaxPool,
    OpeningPool,
)
from foveal.layers.centred import CentredPool
from strategies import few, grid, grids, masked_grids, per_axis

RANKS = [1, 2, 3]
WINDOWS = [(MaxPool, np.max), (AveragePool, np.mean)]
REDUCE = {"max": np.max, "average": np.mean}


@pytest.mark.parametrize(("kind", "reduce"), WINDOWS)
@few
@given(grids(), st.data())
def test_windows_equal_the_definition(kind, reduce, x, data):
    rank = x.ndim - 2
    kernel, stride = data.draw(per_axis(rank, 1, 4)), data.draw(per_axis(rank, 1, 4))
    out = kind(rank, kernel, stride)(x)
    expected = reference.pool(x.numpy(), kernel, stride, reduce)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize(("kind", "reduce"), WINDOWS)
@few
@given(masked_grids(), st.data())
def test_masked_windows_equal_the_definition(kind, reduce, case, data):
    x, mask = case
    rank = x.ndim - 2
    kernel, stride = data.draw(per_axis(rank, 1, 4)), data.draw(per_axis(rank, 1, 3))
    out = kind(rank, kernel, stride)(x.masked_fill(mask == 0, torch.nan), mask)
    expected = reference.pool(x.numpy(), kernel, stride, reduce, mask.numpy())
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@few
@given(grids(), st.integers(1, 4), st.integers(1, 4), st.floats(-5, 5))
def test_windows_keep_a_constant(kind, x, kernel, stride, value):
    out = kind(x.ndim - 2, kernel, stride)(torch.full_like(x, value))
    torch.testing.assert_close(out, torch.full_like(out, value))


@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_windows_keep_the_laws_of_every_layer(kind, rank, kernel):
    laws.all_of_them(kind(rank, kernel, 2), grid(rank))
    laws.traces(kind(rank, kernel, 3), grid(rank))


@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@pytest.mark.parametrize("rank", RANKS)
def test_windows_mirror_when_they_tile_the_grid(kind, rank):
    x, axes = grid(rank, cells=6), tuple(range(2, 2 + rank))
    pool = kind(rank, 2)
    torch.testing.assert_close(pool(x.flip(axes)), pool(x).flip(axes))


@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@pytest.mark.parametrize("kernel", [2, 3])
def test_windows_trace_with_sizes_left_open(kind, kernel):
    layer, x = kind(2, kernel, 2), grid(2, cells=8)
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    graph = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    for cells in (7, 12):
        torch.testing.assert_close(graph(grid(2, cells=cells)), layer(grid(2, cells=cells)))


def test_stride_is_the_kernel_where_none_is_given():
    assert MaxPool(2, (2, 3)).stride == (2, 3)
    assert AveragePool(3, 2)(torch.zeros(1, 1, 5, 4, 2)).shape == (1, 1, 3, 2, 1)


@pytest.mark.parametrize("kind", ["max", "average"])
@few
@given(masked_grids())
def test_global_equals_the_definition(kind, case):
    x, mask = case
    pool = GlobalPool(kind)
    whole = REDUCE[kind](x.flatten(2).numpy(), axis=-1)
    np.testing.assert_allclose(pool(x).numpy(), whole, atol=1e-10)
    real = [REDUCE[kind](v[:, m[0] != 0].numpy(), axis=-1) for v, m in zip(x, mask, strict=True)]
    masked = pool(x.masked_fill(mask == 0, torch.nan), mask)
    np.testing.assert_allclose(masked.numpy(), np.stack(real), atol=1e-10)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("rank", RANKS)
def test_global_ignores_padding_and_order(kind, rank):
    x, pool, pad = grid(rank), GlobalPool(kind), [0, 2] * rank
    mask = F.pad(torch.ones(2, 1, *x.shape[2:]), pad)
    torch.testing.assert_close(pool(F.pad(x, pad, value=1e3), mask), pool(x))
    torch.testing.assert_close(pool(F.pad(x, pad, value=1e3), mask.bool()), pool(x))
    axes = tuple(range(2, x.ndim))
    torch.testing.assert_close(pool(x.flip(axes)), pool(x))
    torch.testing.assert_close(pool(x.permute(0, 1, *reversed(axes))), pool(x))


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("rank", RANKS)
def test_global_keeps_the_laws_of_every_layer(kind, rank):
    laws.all_of_them(GlobalPool(kind), grid(rank))
    laws.traces(GlobalPool(kind), grid(rank), torch.ones_like(grid(rank)[:, :1]))


@pytest.mark.parametrize("kind", ["max", "average"])
def test_global_gives_zero_where_nothing_is_real(kind):
    out = GlobalPool(kind)(torch.full((2, 3, 4), 7.0), torch.tensor([[[0.0] * 4], [[1.0] * 4]]))
    assert out.tolist() == [[0.0] * 3, [7.0] * 3]


def test_global_average_counts_exactly_in_half_precision():
    # 257 is no bfloat16: a count kept in it would be 256, and the mean one step too high.
    x = torch.full((1, 1, 400), 1.984375, dtype=torch.bfloat16)
    mask = (torch.arange(400) < 257).view(1, 1, -1).to(torch.bfloat16)
    assert GlobalPool("average")(x, mask).item() == 1.984375


@pytest.mark.parametrize("kind", ["max", "average"])
@few
@given(grids(), st.data())
def test_adaptive_equals_the_definition(kind, x, data):
    rank = x.ndim - 2
    size = data.draw(per_axis(rank, 1, 5))
    expected = reference.adaptive(x.numpy(), size, REDUCE[kind])
    np.testing.assert_allclose(AdaptivePool(rank, size, kind)(x).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("rank", RANKS)
def test_adaptive_keeps_the_laws_of_every_layer(kind, rank):
    laws.all_of_them(AdaptivePool(rank, 3, kind), grid(rank))
    torch.testing.assert_close(
        AdaptivePool(rank, 1, kind)(grid(rank)).flatten(1), GlobalPool(kind)(grid(rank))
    )


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"kernel 0 does not fit(.|\n)*where: MaxPool"):
        MaxPool(2, 0)
    with pytest.raises(PlanError, match=r"stride \(1, 2\) does not fit(.|\n)*where: AveragePool"):
        AveragePool(3, 2, (1, 2))
    with pytest.raises(PlanError, match=r"\(1, 3, 8\) does not fit 3 channels, rank 2"):
        MaxPool(2, 2)(torch.zeros(1, 3, 8))
    with pytest.raises(PlanError, match=r"kind is 'mean'(.|\n)*give 'average' or 'max'"):
        GlobalPool("mean")
    with pytest.raises(PlanError, match=r"kind is 'min'(.|\n)*where: AdaptivePool"):
        AdaptivePool(1, 2, "min")
    with pytest.raises(PlanError, match=r"size 0 does not fit a grid of rank 2"):
        AdaptivePool(2, 0)


def test_shows_what_it_is():
    assert repr(MaxPool(1, 3, 2)) == "MaxPool(1, (3,), stride=(2,))"
    assert repr(GlobalPool("max")) == "GlobalPool('max')"
    assert repr(AdaptivePool(2, 4)) == "AdaptivePool(2, (4, 4), 'average')"


@pytest.mark.parametrize("size", [(9,), (4, 7), (5, 3, 8)])
def test_parts_of_a_grid_are_means_that_keep_their_place(size):
    x = torch.randn(2, 3, *size)
    pool = GridPool(4)
    out = pool(x)
    assert out.shape == (2, 3 * 4 ** len(size))
    torch.testing.assert_close(out.view(2, 3, -1), AdaptivePool(len(size), 4)(x).flatten(2))
    ones = torch.ones(2, 1, *size)
    torch.testing.assert_close(pool(x, ones), out)
    mask = ones.clone()
    mask[..., size[-1] // 2 :] = 0
    spoilt = torch.where(mask > 0, x, torch.nan)
    torch.testing.assert_close(pool(spoilt, mask), pool(x, mask))
    assert pool(torch.ones_like(x), mask).unique().tolist() == [0, 1]


def test_a_grid_has_a_part_at_least():
    with pytest.raises(PlanError, match="parts is 0"):
        GridPool(0)


@pytest.mark.parametrize("size", [(9,), (6, 7), (3, 4, 5)])
def test_the_opening_is_pooled_apart(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    pool = OpeningPool(2)
    whole, first = pool(x).detach().numpy().reshape(2, 2, 3).swapaxes(0, 1)
    values = x.detach().numpy()
    around = tuple(range(2, values.ndim))
    np.testing.assert_array_equal(whole, values.max(around))
    part = values[(slice(None), slice(None), *[slice(2)] * len(size))]
    np.testing.assert_array_equal(first, part.max(around))
    assert torch.autograd.gradcheck(pool, (x,))


def test_padding_is_no_opening():
    x = torch.tensor([[[5.0, 7.0, torch.nan, torch.nan]], [[torch.nan] * 4]])
    mask = torch.tensor([[[1.0, 1, 0, 0]], [[0.0] * 4]])
    assert OpeningPool(1)(x, mask).tolist() == [[7.0, 5.0], [0.0, 0.0]]
    assert OpeningPool(9)(x, mask).tolist() == [[7.0, 7.0], [0.0, 0.0]]
    with pytest.raises(PlanError, match="cells is 0"):
        OpeningPool(0)


@pytest.mark.parametrize("rank", RANKS)
def test_the_largest_keeps_its_type_under_autocast(rank):
    """Autocast makes float32 of volumes before they are pooled; a maximum needs none."""
    x = torch.randn(2, 3, *(7, 6, 5)[:rank]).bfloat16().requires_grad_()
    want = MaxPool(rank, 2)(x)
    (slope,) = torch.autograd.grad(want.sum(), x)
    for layer in (MaxPool(rank, 2), CentredPool(rank, "max", 2, kernel=3, padding="circular")):
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x)
        assert found.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        found = MaxPool(rank, 2)(x)
    assert torch.equal(found, want)
    assert torch.equal(torch.autograd.grad(found.sum(), x)[0], slope)
