"""Channels-last memory for any rank, and masks after a stride."""

import pytest
import torch

from foveal.layers import Convolution, channels_last, hide, kernels_channels_last, strided
from strategies import grid

RANKS = [1, 2, 3]


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
