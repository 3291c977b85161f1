"""Convolutions: their definitions, laws of symmetry, the transpose, and messages."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import (
    Convolution,
    SeparableConvolution,
    TransposedConvolution,
    channels_last,
    depthwise,
    kernels_channels_last,
)
from strategies import LARGEST, few, grid, grids, per_axis, ranks

RANKS = [1, 2, 3]
PADDINGS = ["zeros", "replicate", "circular"]


@st.composite
def cases(draw):
    """(layer, x) with every setting free; circular only where it goes round once."""
    x = draw(grids(channels=4, least=2))
    rank = x.ndim - 2
    groups = draw(st.sampled_from([1, 2]))
    layer = Convolution(
        rank,
        4,
        2,
        draw(per_axis(rank, 1, 4)),
        stride=draw(per_axis(rank, 1, 3)),
        dilation=draw(per_axis(rank, 1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
        padding=draw(st.sampled_from(PADDINGS)),
    )
    if layer.padding == "circular":
        assume(all(w <= n for w, n in zip(layer.span, x.shape[2:], strict=True)))
    return randomised(layer), x


def randomised(layer):
    for value in layer.parameters():
        torch.nn.init.normal_(value)
    return layer.double()


def numpy(value):
    return None if value is None else value.detach().numpy()


@few
@given(cases())
def test_equals_the_definition(case):
    layer, x = case
    weight, bias = numpy(layer.weight), numpy(layer.bias)
    expected = reference.convolution(
        x.numpy(), weight, bias, layer.stride, layer.dilation, layer.groups, layer.padding
    )
    np.testing.assert_allclose(numpy(layer(x)), expected, atol=1e-10)


@few
@given(cases(), st.data())
def test_does_not_care_how_axes_are_ordered(case, data):
    layer, x = case
    order = data.draw(st.permutations(range(layer.rank)))
    turn = (0, 1, *[2 + i for i in order])
    turned = Convolution(
        layer.rank,
        4,
        2,
        [layer.kernel[i] for i in order],
        stride=[layer.stride[i] for i in order],
        dilation=[layer.dilation[i] for i in order],
        groups=layer.groups,
        bias=layer.bias is not None,
        padding=layer.padding,
    ).double()
    turned.weight.data = layer.weight.data.permute(turn)
    if layer.bias is not None:
        turned.bias.data = layer.bias.data
    torch.testing.assert_close(turned(x.permute(turn)), layer(x).permute(turn))


@few
@given(grids(channels=1), st.sampled_from([1, 3, 5]), st.sampled_from(["zeros", "replicate"]))
def test_mirrors_with_a_mirrored_kernel(x, kernel, padding):
    axes = tuple(range(2, x.ndim))
    layer = randomised(Convolution(x.ndim - 2, 1, 1, kernel, padding=padding))
    mirrored = layer(x.flip(axes))
    layer.weight.data = layer.weight.data.flip(axes)
    torch.testing.assert_close(mirrored, layer(x).flip(axes))


@few
@given(ranks, st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))
def test_moves_with_its_input_on_a_ring(rank, kernel, stride, shift):
    x = grid(rank, cells=4 if rank == 3 else 6)
    axes = tuple(range(2, x.ndim))
    layer = randomised(Convolution(rank, 3, 2, kernel, stride=stride, padding="circular"))
    moved = layer(x.roll([shift * stride] * rank, axes))
    torch.testing.assert_close(moved, layer(x).roll([shift] * rank, axes))


@few
@given(grids(channels=2), st.integers(1, 4), st.floats(-5, 5))
def test_constant_stays_constant_without_zeros(x, kernel, value):
    layer = randomised(Convolution(x.ndim - 2, 2, 1, kernel, padding="replicate"))
    out = layer(torch.full_like(x, value))
    expected = layer.weight.sum() * value + layer.bias
    torch.testing.assert_close(out, expected.expand(out.numel()).view(out.shape))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", [1, 3, 4])
def test_keeps_the_laws_of_every_layer(rank, padding, kernel):
    layer = Convolution(rank, 4, 2, kernel, stride=2, groups=2, padding=padding)
    laws.all_of_them(layer, grid(rank, channels=4))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kernel", [1, 3, 4])
def test_traces_with_sizes_left_open(rank, kernel):
    layer = Convolution(rank, 3, 2, kernel, stride=2).double()
    x = grid(rank, cells=8)
    sizes = dict.fromkeys(range(2, x.ndim), torch.export.Dim.DYNAMIC)
    graph = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    for cells in (7, 8, 12):
        other = grid(rank, cells=cells)
        torch.testing.assert_close(graph(other), layer(other))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kernel", [1, 3])
def test_channels_last_memory_stays_so(rank, kernel):
    layer = kernels_channels_last(Convolution(rank, 8, 8, kernel))
    out = layer(channels_last(torch.randn(2, 8, *[6] * rank)))
    assert out.stride(1) == 1
    assert channels_last(out).data_ptr() == out.data_ptr()


@pytest.mark.parametrize("rank", RANKS)
def test_starts_with_the_scale_of_its_input(rank):
    torch.manual_seed(0)
    x = torch.randn(4, 32, *[9] * rank).relu() * 2**0.5  # mean square 1, as behind a ReLU
    out = Convolution(rank, 32, 64, 3, padding="circular")(x)
    assert out.var().item() == pytest.approx(2, rel=0.25)
    up = TransposedConvolution(rank, 32, 64, 2)(x)
    assert up.var().item() == pytest.approx(2, rel=0.25)


@few
@given(grids(channels=3), st.integers(1, 4), st.integers(1, 2))
def test_depthwise_keeps_channels_apart(x, kernel, stride):
    layer = randomised(depthwise(x.ndim - 2, 3, kernel, stride=stride))
    for c in range(3):
        alone = Convolution(x.ndim - 2, 1, 1, kernel, stride=stride).double()
        alone.weight.data, alone.bias.data = (
            layer.weight.data[c : c + 1],
            layer.bias.data[c : c + 1],
        )
        torch.testing.assert_close(layer(x)[:, c : c + 1], alone(x[:, c : c + 1]))


@few
@given(grids(channels=3), st.integers(1, 4), st.integers(1, 2), st.booleans())
def test_separable_is_a_plain_one_of_low_rank(x, kernel, stride, bias):
    rank = x.ndim - 2
    layer = randomised(SeparableConvolution(rank, 3, 4, kernel, stride=stride, bias=bias))
    plain = Convolution(rank, 3, 4, kernel, stride=stride, bias=bias).double()
    deep = layer.depthwise.weight.data[:, 0]  # (inputs, *K)
    plain.weight.data = layer.pointwise.weight.data * deep[None]
    if bias:
        plain.bias.data = layer.pointwise.bias.data
    torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("rank", RANKS)
def test_separable_keeps_the_laws_of_every_layer(rank):
    layer = SeparableConvolution(rank, 3, 4, 3, stride=2, dilation=2)
    laws.all_of_them(layer, grid(rank))
    assert sum(p.numel() for p in layer.parameters()) == 3 * (3**rank + 4) + 4


@few
@given(grids(channels=3), st.data())
def test_transposed_equals_the_definition(x, data):
    rank = x.ndim - 2
    kernel, stride = data.draw(per_axis(rank, 1, 4)), data.draw(per_axis(rank, 1, 3))
    layer = randomised(TransposedConvolution(rank, 3, 2, kernel, stride=stride))
    expected = reference.transposed(x.numpy(), numpy(layer.weight), numpy(layer.bias), stride)
    np.testing.assert_allclose(numpy(layer(x)), expected, atol=1e-10)


@few
@given(st.data())
def test_transposed_is_the_transpose(data):
    """<conv(x), y> = <x, transposed(y)> when both share one kernel."""
    rank = data.draw(ranks)
    kernel, stride = data.draw(per_axis(rank, 1, 5)), data.draw(per_axis(rank, 1, 3))
    small = data.draw(per_axis(rank, 1, LARGEST[rank] // 2))
    down = randomised(Convolution(rank, 3, 2, kernel, stride=stride, bias=False))
    up = TransposedConvolution(rank, 2, 3, kernel, stride=stride, bias=False).double()
    up.weight.data = down.weight.data
    x = torch.randn(1, 3, *[n * s for n, s in zip(small, stride, strict=True)]).double()
    y = torch.randn(1, 2, *small).double()
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum())


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_keeps_the_laws_of_every_layer(rank, kernel, stride):
    layer = TransposedConvolution(rank, 3, 2, kernel, stride=stride)
    laws.all_of_them(layer, grid(rank, cells=4))


def test_says_how_to_mend_groups():
    with pytest.raises(PlanError, match=r"3 groups do not divide 4 inputs and 6 outputs") as caught:
        Convolution(2, 4, 6, 3, groups=3)
    assert caught.value.mend == "give groups that divide both, or change the channels"


def test_says_how_to_mend_padding():
    with pytest.raises(PlanError, match=r"padding is 'same'(.|\n)*'zeros', 'replicate'"):
        Convolution(2, 4, 6, 3, padding="same")


def test_says_when_a_ring_is_too_short():
    layer = Convolution(1, 1, 1, 7, padding="circular")
    with pytest.raises(PlanError, match=r"padding of 3 wraps 2 cells(.|\n)*smaller kernel"):
        layer(torch.zeros(1, 1, 2))


@pytest.mark.parametrize("kind", [Convolution, SeparableConvolution, TransposedConvolution])
def test_says_what_does_not_fit(kind):
    with pytest.raises(PlanError, match=r"kernel \(3, 3, 3\) does not fit a grid of rank 2"):
        kind(2, 3, 4, (3, 3, 3))
    with pytest.raises(PlanError, match=r"stride 0 does not fit"):
        kind(2, 3, 4, 3, stride=0)
    with pytest.raises(PlanError, match=r"inputs is 0"):
        kind(2, 0, 4, 3)
    with pytest.raises(PlanError, match=r"\(1, 2, 5, 5\) does not fit 3 channels, rank 2"):
        kind(2, 3, 4, 3)(torch.zeros(1, 2, 5, 5))


def test_shows_what_it_is():
    shown = repr(Convolution(2, 3, 4, (3, 5), stride=2, bias=False))
    assert "2, 3, 4, (3, 5), stride=(2, 2), dilation=(1, 1), groups=1, bias=False" in shown
    assert "1, 2, 3, (2,), stride=(2,)" in repr(TransposedConvolution(1, 2, 3, 2))
