"""Channels-last memory for any rank, and masks after a stride."""

import pytest
import torch

from foveal.layers import (
    BatchNorm,
    ChannelNorm,
    Convolution,
    GroupNorm,
    MaxPool,
    channels_last,
    hide,
    kernels_channels_last,
    strided,
)
from foveal.layers.centred import CentredPool
from strategies import grid

RANKS = [1, 2, 3]
LAYERS = {
    "convolution": lambda rank: kernels_channels_last(Convolution(rank, 8, 8, 3)),
    "batch norm": lambda rank: BatchNorm(8),
    "group norm": lambda rank: GroupNorm(8),
    "channel norm": lambda rank: ChannelNorm(8),
    "maximum": lambda rank: MaxPool(rank, 2),
    "overlapping maximum": lambda rank: MaxPool(rank, 3, 2),
    "centred maximum": lambda rank: CentredPool(rank, "max", 2),
    "blur": lambda rank: CentredPool(rank, "blur", 2),
}


@pytest.mark.parametrize("rank", RANKS)
def test_channels_of_a_cell_lie_side_by_side(rank):
    x = grid(rank)
    out = channels_last(x)
    assert torch.equal(out, x)
    assert out.stride(1) == 1
    assert out.movedim(1, -1).is_contiguous()
    assert channels_last(out).data_ptr() == out.data_ptr()


@pytest.mark.parametrize("rank", RANKS)
def test_kernels_follow_and_train_on(rank):
    layer = Convolution(rank, 4, 3, 3)
    values = layer.weight.detach().clone()
    assert kernels_channels_last(layer) is layer
    assert torch.equal(layer.weight, values)
    assert layer.weight.stride(1) == 1
    layer(torch.randn(2, 4, *[5] * rank)).sum().backward()
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_answer_in_the_memory_they_were_given(name, rank, half, learns):
    layer, x = LAYERS[name](rank).train(learns), torch.randn(2, 8, *range(7, 7 + rank))
    with torch.set_grad_enabled(learns), torch.autocast("cpu", torch.bfloat16, enabled=half):
        out, usual = layer(channels_last(x)), layer(x)
    assert out.stride(1) == 1
    torch.testing.assert_close(out, usual, atol=1e-2 if half else 1e-5, rtol=0)


def test_hides_whatever_stood_in_padding():
    x = torch.tensor([[[1.0, torch.nan, torch.inf]]])
    mask = torch.tensor([[[1, 0, 0]]])
    assert hide(x, mask).tolist() == [[[1.0, 0.0, 0.0]]]
    assert hide(x, mask.bool(), -1).tolist() == [[[1.0, -1.0, -1.0]]]
    assert hide(x, None) is x


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_as_many_cells_stay_real_as_without_padding(rank, stride):
    for real in range(1, 9):
        mask = torch.zeros(1, 1, *[8] * rank)
        mask[(0, 0, *[slice(real)] * rank)] = 1
        out = strided(mask, (stride,) * rank)
        kept = Convolution(rank, 1, 1, 3, stride=stride)(torch.zeros(1, 1, *[real] * rank))
        assert out.sum() == kept.numel()
