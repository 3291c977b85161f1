"""Blocks: what they compute, how they are wired, and that padding never leaks."""

import pytest
import torch

import reference
from foveal.layers import BlurDown, Convolution, SqueezeExcite
from foveal.networks.block import ConvBlock, Factored, Residual, Shifted, Stage, unit
from foveal.networks.down import Down
from plans import RANKS, SIZE, net_for

DOWNS = ("max", "energy", "average", "stride", "blur")


def features(rank, channels=4, count=3):
    seed = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, *SIZE[rank], generator=seed)


def padded(x, fill=1e4):
    """``x`` with 1 to 3 cells of ``fill`` behind each axis, and the mask of the real cells."""
    size = [n + 1 + i for i, n in enumerate(x.shape[2:])]
    wide, mask = x.new_full((*x.shape[:2], *size), fill), x.new_zeros(x.shape[0], 1, *size)
    real = tuple(slice(0, n) for n in x.shape[2:])
    wide[(..., *real)] = x
    mask[(..., *real)] = 1
    return wide, mask


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("down", DOWNS)
def test_a_block_shrinks_each_axis_by_its_own_stride(rank, down):
    stride = (2, 1, 3)[:rank]
    block = ConvBlock(rank, 4, 5, (3,) * rank, net_for(rank, down=down), stride).eval()
    out, mask = block(features(rank))
    want = tuple(-(-n // s) for n, s in zip(SIZE[rank], stride, strict=True))
    assert out.shape == (3, 5, *want)
    assert mask is None


@pytest.mark.parametrize("rank", RANKS)
def test_a_block_is_convolution_pool_norm_activation(rank):
    net = net_for(rank, down="average", activation="tanh")
    block = ConvBlock(rank, 4, 5, (3,) * rank, net, (2,) * rank).eval()
    x = features(rank)
    by_hand = torch.tanh(block.norm(block.down.pool(block.convolution(x))))
    torch.testing.assert_close(block(x)[0], by_hand)


def test_a_stride_may_stand_inside_the_convolution():
    block = ConvBlock(2, 4, 5, (3, 3), net_for(2, down="stride"), (2, 2))
    assert block.down is None
    assert block.convolution.stride == (2, 2)


@pytest.mark.parametrize("down", DOWNS)
def test_no_stride_means_no_downsampling(down):
    block = ConvBlock(2, 4, 5, (3, 3), net_for(2, down=down), (1, 1))
    assert block.down is None
    assert block.convolution.stride == (1, 1)


def test_a_convolution_before_a_norm_has_no_bias():
    stage = Stage(2, 4, net_for(2), 1)
    kernels = [m for m in stage.modules() if isinstance(m, Convolution)]
    assert len(kernels) == 3
    assert all(kernel.bias is None for kernel in kernels)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", ["max", "energy", "average", "blur"])
def test_halving_ignores_what_stands_on_padding(rank, kind):
    down, x = Down(rank, kind, (2,) * rank), features(rank) - 5  # zeros would win a maximum
    wide, mask = padded(x)
    want, none = down(x)
    got, less = down(wide, mask)
    real = tuple(slice(0, n) for n in want.shape[2:])
    assert none is None
    torch.testing.assert_close(got[(..., *real)], want)
    assert less[(..., *real)].all()
    assert less.sum() == less[(..., *real)].sum()
    assert (got * (1 - less)).abs().sum() == 0


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_a_blur_repeats_the_border_as_far_as_it_reaches(stride):
    x = torch.randn(1, 1, 9)
    wide, mask = padded(x)
    down = Down(1, "blur", (stride,))
    assert isinstance(down.pool, BlurDown)
    want = down(x)[0]
    torch.testing.assert_close(down(wide, mask)[0][..., : want.shape[-1]], want)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("norm", ["batch", "group", "channel"])
@pytest.mark.parametrize("down", DOWNS)
@pytest.mark.parametrize("block", ["plain", "residual", "factored", "shifted"])
def test_padding_never_changes_real_cells(rank, norm, down, block):
    # ELU of a shifted norm is not zero at zero, so nothing is right by luck.
    net = net_for(rank, norm=norm, down=down, block=block, gate=True, activation="elu")
    torch.manual_seed(0)
    stage = Stage(rank, 4, net, 1, time=rank - 1).eval()
    with torch.no_grad():
        for value in stage.parameters():
            if value.ndim == 1:
                value.uniform_(0.5, 1.5)
    x = features(rank)
    wide, mask = padded(x)
    want, _ = stage(x)
    got, less = stage(torch.where(mask == 0, 0.0, wide), mask)
    real = tuple(slice(0, n) for n in want.shape[2:])
    torch.testing.assert_close(got[(..., *real)], want, atol=2e-5, rtol=1e-5)
    assert (got * (1 - less)).abs().sum() == 0


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_residual_stages_wrap_by_twos(depth):
    stage = Stage(2, 4, net_for(2, block="residual", depths=(1, depth)), 1)
    first, *rest = stage.blocks
    assert isinstance(first, ConvBlock)
    assert all(isinstance(block, Residual) for block in rest)
    assert [len(block.blocks) for block in rest] == [2] * ((depth - 1) // 2) + [1] * (
        (depth - 1) % 2
    )


def test_a_residual_block_adds_its_branch():
    stage = Stage(2, 4, net_for(2, block="residual"), 1).eval()
    block, x = stage.blocks[1], features(2, channels=8)
    branch = x
    for inner in block.blocks:
        branch = inner(branch)[0]
    torch.testing.assert_close(block(x)[0], x + branch)


def test_branches_are_dropped_more_often_the_deeper_they_are():
    net = net_for(2, block="residual", depths=(3, 3), drop_path=0.4)
    rates = [Stage(2, 6, net, number).blocks[1].drop.rate for number in (0, 1)]
    assert rates == [0.2, 0.4]


def test_a_dropped_branch_leaves_the_sample_alone():
    net = net_for(2, block="residual", drop_path=0.99)
    torch.manual_seed(0)
    block, x = Stage(2, 4, net, 1).blocks[1], features(2, channels=8)
    same = (block(x)[0] == x).flatten(1).all(1)
    assert same.all()
    assert not torch.equal(block.eval()(x)[0], x)


@pytest.mark.parametrize(("block", "gates"), [("plain", 1), ("residual", 2)])
def test_gates_close_branches_or_plain_stages(block, gates):
    net = net_for(2, block=block, gate=True, depths=(2, 5))
    stage = Stage(2, 4, net, 1)
    assert sum(isinstance(m, SqueezeExcite) for m in stage.modules()) == gates
    assert (stage.gate is not None) == (block == "plain")
    plain = Stage(2, 4, net_for(2, block=block), 1)
    assert not any(isinstance(m, SqueezeExcite) for m in plain.modules())


EVERY_TIME = [(rank, time) for rank in RANKS for time in range(rank)]


@pytest.mark.parametrize(("rank", "time"), EVERY_TIME)
def test_a_factored_unit_is_one_convolution_over_space_then_one_over_time(rank, time):
    net = net_for(rank, block="factored", down="stride", activation="tanh")
    block = unit(rank, 4, 5, (3,) * rank, net, time=time).eval().double()
    assert isinstance(block, Factored)
    flat = tuple(1 if i == time else 3 for i in range(rank))
    over = tuple(3 if i == time else 1 for i in range(rank))
    assert (block.space.convolution.kernel, block.time.convolution.kernel) == (flat, over)
    x = features(rank, count=2).double()
    want, ones = x.numpy(), (1,) * rank
    for part in (block.space, block.time):
        kernel = part.convolution.weight.detach().numpy()
        want = reference.convolution(want, kernel, None, ones, ones) / (1 + part.norm.eps) ** 0.5
        want = torch.tanh(torch.from_numpy(want)).numpy()
    torch.testing.assert_close(block(x)[0], torch.from_numpy(want))


@pytest.mark.parametrize(("rank", "time"), EVERY_TIME)
def test_a_shifted_unit_is_a_shift_then_a_convolution(rank, time):
    net = net_for(rank, block="shifted", activation="tanh")
    kernel = tuple(1 if i == time else 3 for i in range(rank))
    block = unit(rank, 8, 5, kernel, net, time=time).eval().double()
    assert isinstance(block, Shifted)
    x, ones = features(rank, channels=8, count=2).double(), (1,) * rank
    moved = reference.shift(x.numpy(), time, 1)
    weight = block.block.convolution.weight.detach().numpy()
    want = reference.convolution(moved, weight, None, ones, ones)
    want = torch.tanh(torch.from_numpy(want) / (1 + block.block.norm.eps) ** 0.5)
    torch.testing.assert_close(block(x)[0], want)


@pytest.mark.parametrize("block", ["factored", "shifted"])
def test_units_that_see_time_halve_space_and_time_as_asked(block):
    stage = Stage(3, 4, net_for(3, block=block, strides=((1, 1, 1), (2, 2, 1))), 1, time=0)
    out, _ = stage.eval()(features(3))
    assert out.shape == (3, 8, 4, 3, 5)
    if block == "factored":  # space is halved before time is looked at
        first = stage.blocks[0]
        assert (first.space.stride, first.time.stride) == ((1, 2, 1), (2, 1, 1))


def test_without_a_kernel_over_time_there_is_nothing_to_factor():
    net = net_for(3, block="factored")
    assert isinstance(unit(3, 4, 5, (1, 3, 3), net, time=0), ConvBlock)
    assert isinstance(unit(3, 4, 5, (3, 3, 3), net), ConvBlock)


@pytest.mark.parametrize("block", ["factored", "shifted"])
def test_order_in_time_reaches_the_answer(block):
    torch.manual_seed(0)
    stage = Stage(3, 8, net_for(3, block=block, strides=((1, 1, 1),) * 2), 1, time=0).eval()
    x = features(3, channels=8)
    forth, back = stage(x)[0], stage(x.flip(2))[0].flip(2)
    assert (forth - back).abs().max() > 0.01
    still = Stage(3, 8, net_for(3, kernels=((1, 3, 3),) * 2, strides=((1, 1, 1),) * 2), 1).eval()
    torch.testing.assert_close(still(x)[0], still(x.flip(2))[0].flip(2))
