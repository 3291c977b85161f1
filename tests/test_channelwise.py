"""Depthwise kernels of volumes: the gradients of `conv3d`, by another road."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from foveal.layers import Convolution, depthwise
from foveal.layers.channelwise import channelwise, worth_it
from foveal.layers.symmetry import SeparableGroupConvolution, symmetry_of

LAST, FLAT = torch.channels_last_3d, torch.contiguous_format
# size, kernel, stride, start, dilation
CASES = (
    ((5, 6, 7), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
    ((5, 6, 7), (3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1)),
    ((6, 5, 8), (3, 3, 3), (2, 1, 3), (1, 0, 1), (1, 1, 1)),
    ((4, 4, 4), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    ((7, 5, 6), (2, 4, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1)),
    ((9, 8, 7), (3, 3, 3), (1, 1, 1), (2, 2, 2), (2, 2, 2)),
    ((9, 8, 7), (3, 2, 3), (4, 3, 2), (2, 1, 1), (2, 2, 1)),
    ((8, 8, 8), (2, 2, 2), (5, 3, 3), (0, 0, 0), (1, 1, 1)),  # cells that no window sees
    ((1, 1, 1), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
    ((3, 3, 3), (3, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
)


def both_ways(x, weight, bias, stride, start, dilation):
    """Answers and gradients of x, weight and bias: torch's and ours."""
    found = []
    for road in ("torch", "ours"):
        parts = [t.detach().clone(memory_format=torch.preserve_format) for t in (x, weight, bias)]
        for part in parts:
            part.requires_grad_()
        if road == "torch":
            out = F.conv3d(*parts, stride, start, dilation, len(weight))
        else:
            out = channelwise(*parts, stride, start, dilation)
        torch.manual_seed(1)
        push = torch.randn(out.shape, dtype=torch.float64).to(out)
        found.append((out, *torch.autograd.grad(out, parts, push)))
    return found


@pytest.mark.parametrize("memory", [LAST, FLAT], ids=["channels last", "contiguous"])
@pytest.mark.parametrize(("size", "kernel", "stride", "start", "dilation"), CASES)
def test_gradients_are_those_of_torch(size, kernel, stride, start, dilation, memory):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64).contiguous(memory_format=memory)
    weight, bias = torch.randn(3, 1, *kernel).double(), torch.randn(3).double()
    for one, other in zip(*both_ways(x, weight, bias, stride, start, dilation), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 3, 2, 3, dtype=torch.float64, requires_grad=True)

    def road(x, weight):
        return channelwise(x, weight, None, (1, 2, 1), (1, 0, 1), (1, 1, 1))

    assert torch.autograd.gradcheck(road, (x, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_and_single_precision_keep_their_type_and_memory(dtype):
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 7, 6).to(dtype).contiguous(memory_format=LAST)
    weight, bias = torch.randn(8, 1, 3, 3, 3).to(dtype), torch.zeros(8, dtype=dtype)
    threes = (1, 1, 1)
    near = {"rtol": 2e-2, "atol": 0.3} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    for one, other in zip(*both_ways(x, weight, bias, threes, threes, threes), strict=True):
        assert other.dtype == dtype
        torch.testing.assert_close(other, one, **near)
    out, for_x, *_ = both_ways(x, weight, bias, threes, threes, threes)[1]
    assert out.is_contiguous(memory_format=LAST)
    assert for_x.is_contiguous(memory_format=LAST)


def test_autocast_reaches_it_and_weights_get_gradients_of_their_own_type():
    layer = depthwise(3, 4, 3)
    x = torch.randn(1, 4, 5, 5, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert layer.weight.grad.dtype == torch.float32
    assert layer.bias.grad.dtype == torch.float32
    assert x.grad.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.double()(x.double()).dtype == torch.float64  # as autocast leaves it


@pytest.mark.parametrize("asked", ["x", "weight"])
def test_only_what_is_asked_for_gets_a_gradient(asked):
    x, weight = torch.randn(1, 2, 4, 4, 4), torch.randn(2, 1, 3, 3, 3)
    {"x": x, "weight": weight}[asked].requires_grad_()
    channelwise(x, weight, None, (1, 1, 1), (1, 1, 1), (1, 1, 1)).sum().backward()
    assert (x.grad is None) == (asked == "weight")
    assert (weight.grad is None) == (asked == "x")


def test_it_is_taken_where_depthwise_volumes_learn_and_nowhere_else():
    x, weight = torch.randn(1, 4, 5, 5, 5), torch.randn(4, 1, 3, 3, 3, requires_grad=True)
    last, one, two = x.contiguous(memory_format=LAST), (1, 1, 1), (2, 2, 2)
    assert worth_it(x, weight, one, 4)
    assert worth_it(last, weight, two, 4)
    assert not worth_it(x, weight, two, 4)
    assert not worth_it(x, torch.randn(4, 2, 3, 3, 3, requires_grad=True), one, 2)
    assert not worth_it(x, torch.randn(8, 1, 3, 3, 3, requires_grad=True), one, 4)
    assert not worth_it(x[:, :1], weight[:1], one, 1)
    assert not worth_it(x[:, :, 0], weight[:, :, 0], (1, 1), 4)
    assert not worth_it(x, weight.detach(), one, 4)
    with torch.no_grad():
        assert not worth_it(last, weight, one, 4)


@pytest.mark.parametrize("padding", ["zeros", "replicate", "circular"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_layer_learns_as_a_dense_one_with_the_same_kernel(padding, stride):
    """A depthwise kernel is a dense one that is zero between channels."""
    torch.manual_seed(0)
    layer = Convolution(3, 4, 4, 3, stride=stride, groups=4, padding=padding).double()
    dense = Convolution(3, 4, 4, 3, stride=stride, padding=padding).double()
    with torch.no_grad():
        dense.weight.zero_()
        for i in range(4):
            dense.weight[i, i] = layer.weight[i, 0]
    x = torch.randn(2, 4, 6, 5, 7, dtype=torch.float64).contiguous(memory_format=LAST)
    seen = []
    for module in (layer, dense):
        mine = x.clone(memory_format=torch.preserve_format).requires_grad_()
        (module(mine) ** 2).sum().backward()
        seen.append(mine.grad)
    torch.testing.assert_close(*seen, rtol=1e-12, atol=1e-12)
    own = torch.stack([dense.weight.grad[i, i] for i in range(4)])[:, None]
    torch.testing.assert_close(layer.weight.grad, own, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.bias.grad, dense.bias.grad, rtol=1e-12, atol=1e-12)


def test_a_turned_volume_gives_the_same_gradient_of_a_separable_layer():
    """The law: of an even loss, weights learn the same from a volume and from any turn of it."""
    torch.manual_seed(0)
    symmetry = symmetry_of(3, "rotations")
    layer = SeparableGroupConvolution(symmetry, 2, 2, 3).double()
    fields = torch.randn(1, 2, 5, 5, 5, dtype=torch.float64)
    x = fields.repeat(1, len(symmetry), 1, 1, 1)  # alike in every orientation
    found = []
    for turn in symmetry.turns[:: len(symmetry.turns) // 4]:
        layer.zero_grad()
        (layer(turn.move(x)) ** 2).sum().backward()
        found.append([p.grad.clone() for p in layer.parameters() if p.grad is not None])
    for one, other in itertools.pairwise(found):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
