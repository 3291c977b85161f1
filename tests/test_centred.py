"""Centred windows: the condition, mirrors at every size and stride, definitions, messages."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import laws
import reference
import turns
from foveal.errors import PlanError
from foveal.layers import Convolution
from foveal.layers.centred import CentredConvolution, CentredPool, surround, widen, windows
from strategies import few, grid, grids, per_axis
from turns import error, randomised

RANKS = [1, 2, 3]
KINDS = ["max", "average", "blur"]


def mirrored(x):
    return x.flip(tuple(range(2, x.ndim)))


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_windows_are_centred_and_leave_no_cell_out(stride):
    for size, span in itertools.product(range(1, 14), range(1, 8)):
        (width,), (start,) = windows((size,), (span,), (stride,))
        count = -(-size // stride)
        behind = (count - 1) * stride + width - start - size
        assert start == behind >= 0
        assert (size + 2 * start - width) % stride == 0  # the condition
        assert span <= width
        left = size - (count - 1) * stride
        assert all((left - w) % 2 for w in range(max(span, left), width))  # none narrower fits


def test_stride_two_has_the_windows_people_use():
    assert windows((8, 9), (2, 2), (2, 2)) == ((2, 3), (0, 1))  # 2 x 2, and 3 with a border
    assert windows((8, 9), (3, 3), (2, 2)) == ((4, 3), (1, 1))  # 1-3-3-1, and 1-2-1
    assert windows((8, 9), (3, 3), (1, 1)) == ((3, 3), (1, 1))


@few
@given(grids(channels=2), st.data())
def test_a_convolution_equals_the_definition(x, data):
    rank = x.ndim - 2
    kernel, stride = data.draw(per_axis(rank, 1, 4)), data.draw(per_axis(rank, 1, 2))
    layer = randomised(CentredConvolution(rank, 2, 3, kernel, stride=stride, bias=False))
    weight, still = layer.weight.detach().numpy(), np.eye(rank, dtype=int)
    slow = turns.convolved(x.numpy(), weight, still, stride)
    np.testing.assert_allclose(layer(x).detach().numpy(), slow, atol=1e-10)


@few
@given(grids(channels=2, least=2), st.data())
def test_a_convolution_mirrors_with_its_kernel(x, data):
    rank = x.ndim - 2
    layer = CentredConvolution(
        rank,
        2,
        2,
        data.draw(per_axis(rank, 1, 4)),
        stride=data.draw(per_axis(rank, 1, 4)),
        groups=data.draw(st.sampled_from([1, 2])),
        padding=data.draw(st.sampled_from(["zeros", "replicate"])),
    )
    expected = mirrored(randomised(layer)(x))
    layer.weight.data = layer.weight.data.flip(tuple(range(2, x.ndim)))
    torch.testing.assert_close(layer(mirrored(x)), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("padding", ["zeros", "replicate", "circular"])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2)])
def test_without_a_stride_it_is_the_plain_convolution(rank, padding, kernel, dilation):
    make = {"dilation": dilation, "padding": padding}
    layer = randomised(CentredConvolution(rank, 3, 2, kernel, **make))
    plain = Convolution(rank, 3, 2, kernel, **make).double()
    plain.load_state_dict(layer.state_dict())
    x = grid(rank, cells=6)
    assert torch.equal(layer(x), plain(x))


@pytest.mark.parametrize("rank", RANKS)
def test_a_strided_convolution_of_the_house_mirrors_only_where_the_size_fits(rank):
    plain = Convolution(rank, 2, 2, 3, stride=2).double()
    for cells, fits in [(7, True), (6, False)]:
        x = grid(rank, channels=2, cells=cells)
        expected = mirrored(plain(x))
        plain.weight.data = plain.weight.data.flip(tuple(range(2, x.ndim)))
        assert (error(plain(mirrored(x)), expected) < 1e-12) == fits


@few
@given(grids(channels=2), st.data())
def test_pools_mirror_at_every_size(x, data):
    rank = x.ndim - 2
    kind, stride = data.draw(st.sampled_from(KINDS)), data.draw(per_axis(rank, 1, 4))
    kernel = data.draw(st.none() | per_axis(rank, 1, 5))
    pool = CentredPool(rank, kind, stride, kernel=kernel)
    out = pool(x)
    assert out.shape[2:] == tuple(-(-n // s) for n, s in zip(x.shape[2:], stride, strict=True))
    torch.testing.assert_close(pool(mirrored(x)), mirrored(out), atol=1e-12, rtol=1e-12)


@few
@given(grids(channels=2), st.data())
def test_pools_equal_their_definitions(x, data):
    rank = x.ndim - 2
    stride = data.draw(per_axis(rank, 1, 3))
    width, start = windows(x.shape[2:], stride, stride)
    wide = np.pad(x.numpy(), [(0, 0), (0, 0), *[(b, b) for b in start]], mode="edge")
    places = [range(0, n - w + 1, s) for n, w, s in zip(wide.shape[2:], width, stride, strict=True)]
    for kind, reduce in (("max", np.max), ("average", np.mean)):
        found = CentredPool(rank, kind, stride)(x).numpy()
        for t in np.ndindex(*found.shape[2:]):
            box = [slice(p[i], p[i] + w) for p, i, w in zip(places, t, width, strict=True)]
            cells = wide[(slice(None), slice(None), *box)].reshape(*x.shape[:2], -1)
            np.testing.assert_allclose(found[(..., *t)], reduce(cells, -1), atol=1e-12)


@pytest.mark.parametrize("rank", RANKS)
def test_a_blur_on_odd_sizes_is_the_one_of_the_house(rank):
    x = grid(rank, cells=7)
    np.testing.assert_allclose(
        CentredPool(rank, "blur", 2)(x).numpy(),
        reference.blur(x.numpy(), (2,) * rank),
        atol=1e-12,
    )


def test_a_blur_on_even_sizes_has_four_taps():
    x = torch.zeros(1, 1, 8, dtype=torch.float64)
    x[..., 3] = 8
    assert CentredPool(1, "blur", 2)(x).tolist() == [[[0, 3, 1, 0]]]


@few
@given(grids(channels=2), st.sampled_from(KINDS), st.integers(1, 3), st.floats(-5, 5))
def test_pools_keep_a_constant(x, kind, stride, value):
    out = CentredPool(x.ndim - 2, kind, stride)(torch.full_like(x, value))
    torch.testing.assert_close(out, torch.full_like(out, value))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_ring_a_dense_pool_moves_with_its_input(rank, kind):
    x, around = grid(rank, cells=4), tuple(range(2, 2 + rank))
    pool = CentredPool(rank, kind, 1, kernel=3, padding="circular")
    for shift in range(4):
        torch.testing.assert_close(
            pool(x.roll([shift] * rank, around)), pool(x).roll([shift] * rank, around)
        )


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("cells", [4, 5])
@pytest.mark.parametrize(
    "make",
    [
        *[lambda r, k=k: CentredPool(r, k, 2) for k in KINDS],
        *[lambda r, k=k: CentredPool(r, k, 2, kernel=3, padding="circular") for k in KINDS],
        lambda r: CentredConvolution(r, 3, 2, 3, stride=2),
        lambda r: CentredConvolution(r, 3, 2, 2, stride=3, padding="replicate"),
    ],
)
def test_keeps_the_laws_of_every_layer(rank, cells, make):
    laws.all_of_them(make(rank), grid(rank, cells=cells))


@pytest.mark.parametrize("rank", RANKS)
def test_traces_with_sizes_left_open_where_it_does_not_stride(rank):
    layer = CentredConvolution(rank, 3, 2, 3).double()
    x = grid(rank, cells=8)
    sizes = dict.fromkeys(range(2, x.ndim), torch.export.Dim.DYNAMIC)
    graph = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    for cells in (7, 8, 12):
        other = grid(rank, cells=cells)
        torch.testing.assert_close(graph(other), layer(other))


def test_stride_and_kernel_of_one_leave_the_input_alone():
    x = grid(2)
    assert CentredPool(2, "max", 1)(x) is x
    assert CentredPool(2, "blur", 1)(x) is x


def test_a_wider_kernel_is_the_mean_of_its_places():
    weight = torch.tensor([[[1.0, 2, 3]]])
    assert widen(weight, (1,)).tolist() == [[[0.5, 1.5, 2.5, 1.5]]]
    assert widen(weight, (0,)) is weight
    assert widen(torch.ones(1, 1, 1, 2), (1, 2)).sum() == pytest.approx(2)


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"kind is 'mean'(.|\n)*'max', 'average' or 'blur'"):
        CentredPool(2, "mean", 2)
    with pytest.raises(PlanError, match=r"padding is 'zeros'(.|\n)*'replicate' or 'circular'"):
        CentredPool(2, "max", 2, padding="zeros")
    with pytest.raises(PlanError, match=r"stride \(2, 0\).*rank 2"):
        CentredPool(2, "max", (2, 0))
    with pytest.raises(PlanError, match=r"kernel \(3,\).*rank 2"):
        CentredPool(2, "max", 2, kernel=(3,))
    with pytest.raises(PlanError, match=r"\(1, 3, 8\) does not fit 3 channels, rank 2"):
        CentredPool(2, "max", 2)(torch.zeros(1, 3, 8))
    with pytest.raises(PlanError, match=r"\(1, 2, 5, 5\) does not fit 3 channels, rank 2"):
        CentredConvolution(2, 3, 4, 3)(torch.zeros(1, 2, 5, 5))
    with pytest.raises(PlanError, match=r"padding of 3 wraps 2 cells(.|\n)*smaller kernel"):
        surround(torch.zeros(1, 1, 2), (3,), "circular")


@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (3, 2)])
def test_says_that_a_dilated_kernel_has_no_middle(kernel, stride):
    with pytest.raises(PlanError, match=rf"a kernel of {kernel}, dilated by 3, at stride {stride}"):
        CentredConvolution(2, 3, 4, kernel, stride=stride, dilation=3)


def test_shows_what_it_is():
    shown = repr(CentredConvolution(2, 3, 4, (3, 5), stride=2, bias=False))
    assert "2, 3, 4, (3, 5), stride=(2, 2), dilation=(1, 1), groups=1, bias=False" in shown
    assert repr(CentredPool(1, "blur", 2)) == "CentredPool(1, 'blur', stride=(2,), kernel=(3,))"
