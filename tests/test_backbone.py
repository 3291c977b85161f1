"""The backbone: its shapes follow the plan, and a plan that cannot be is refused by field."""

import pytest
import torch

from foveal.errors import PlanError
from foveal.layers import Convolution
from foveal.networks.backbone import Backbone, WhitenStem
from foveal.networks.block import ConvBlock
from plans import RANKS, SIZE, net_for


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("stem", ["whiten", "convolution"])
def test_grids_shrink_by_the_strides_of_the_plan(rank, stem):
    stem_stride = (2, 1, 1)[:rank]
    strides = ((1, 2, 1)[:rank], (2, 2, 2)[:rank])
    net = net_for(rank, stem=stem, stem_stride=stem_stride, strides=strides)
    backbone = Backbone(rank, 2, net).eval()
    size = SIZE[rank]
    for stride in (stem_stride, *strides):
        size = tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    out, mask = backbone(torch.randn(2, 2, *SIZE[rank]))
    assert out.shape == (2, net.widths[-1], *size)
    assert (backbone.outputs, backbone.rank, mask) == (net.widths[-1], rank, None)


def test_kernels_and_depths_come_from_the_plan():
    net = net_for(3, kernels=((1, 3, 3), (3, 3, 5)), depths=(1, 4), stem="convolution")
    backbone = Backbone(3, 2, net)
    kernels = [m.kernel for m in backbone.stages.modules() if isinstance(m, Convolution)]
    assert kernels == [(1, 3, 3)] + [(3, 3, 5)] * 4
    assert isinstance(backbone.stem, ConvBlock)
    assert backbone.stem.convolution.outputs == net.stem_width


def test_a_strided_stem_convolves_only_where_it_looks():
    net = net_for(2, stem="convolution", stem_stride=(2, 2), down="max")
    stem = Backbone(2, 2, net).stem
    assert stem.down is None
    assert stem.convolution.stride == (2, 2)


@pytest.mark.parametrize("rank", RANKS)
def test_the_whitening_kernels_are_not_trained_but_their_bias_is(rank):
    stem = Backbone(rank, 2, net_for(rank)).stem
    assert isinstance(stem, WhitenStem)
    trained = {name for name, p in stem.named_parameters() if p.requires_grad}
    assert trained == {"whiten.convolution.bias"}


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("stem", ["whiten", "convolution"])
def test_the_mask_shrinks_with_the_grid(rank, stem):
    strides = ((2,) * rank, (1,) * rank)
    net = net_for(
        rank, stem=stem, stem_kernel=(3,) * rank, stem_stride=(2,) * rank, strides=strides
    )
    backbone = Backbone(rank, 2, net).eval()
    x, mask = torch.randn(2, 2, *SIZE[rank]), torch.zeros(2, 1, *SIZE[rank])
    mask[0] = 1
    mask[1, :, : SIZE[rank][0] // 2] = 1
    out, less = backbone(x * mask, mask)
    assert less.shape == (2, 1, *out.shape[2:])
    assert less[0].all()
    assert 0 < less[1].sum() < less[0].sum()
    assert (out * (1 - less)).abs().sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": (2,)}, r"1 depths for 2 stages(.|\n)*net\.depths(.|\n)*one entry per stage"),
        ({"widths": (), "depths": ()}, r"0 depths for 0 stages"),
        ({"strides": ((2, 2), (2,))}, r"\[2\] does not fit 2 axes(.|\n)*net\.strides\[1\]"),
        ({"strides": ((2, 2), (2, 0))}, r"\[2, 0\] does not fit(.|\n)*at least 1, one per axis"),
        ({"kernels": ((3, 3, 3), (3, 3))}, r"\[3, 3, 3\] does not fit(.|\n)*net\.kernels\[0\]"),
        ({"stem_kernel": ()}, r"\[\] does not fit(.|\n)*net\.stem_kernel"),
        ({"widths": (6, 0)}, r"\[6, 0\] holds a number below 1(.|\n)*net\.widths"),
        (
            {"block": "shifted"},
            r"blocks that are shifted need an axis of time(.|\n)*net\.block(.|\n)*\"residual\"",
        ),
        (
            {"stem_width": 5},
            r"has 2 to 16 outputs by twos, not 5(.|\n)*net\.stem_width(.|\n)*to 16, or",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_field(changes, message):
    with pytest.raises(PlanError, match=message):
        Backbone(2, 2, net_for(2, **changes))


@pytest.mark.parametrize("rank", RANKS)
def test_levels_are_what_the_plan_says_they_are(rank):
    net = net_for(rank, stem_stride=(2, 1, 1)[:rank])
    backbone, x = Backbone(rank, 2, net).eval(), torch.randn(2, 2, *SIZE[rank])
    levels = backbone.levels(x)
    assert len(levels) == len(net.levels) == 1 + len(net.widths)
    for (features, _), (width, stride) in zip(levels, net.levels, strict=True):
        size = tuple(-(-n // s) for n, s in zip(SIZE[rank], stride, strict=True))
        assert features.shape == (2, width, *size)
    torch.testing.assert_close(levels[-1][0], backbone(x)[0])


def test_stages_side_by_side_have_no_levels():
    net = net_for(1, block="parallel", strides=((1,), (1,)))
    with pytest.raises(PlanError, match=r"side by side have no levels(.|\n)*net.block"):
        Backbone(1, 2, net).levels(torch.randn(1, 2, 21))
