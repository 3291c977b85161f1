"""Borders against PyTorch's own, their gradients, and memory that stays as it was."""

import pytest
import torch
import torch.nn.functional as F

from foveal.layers.around import around

ENDS = {1: [(2, 1)], 2: [(1, 2), (0, 3)], 3: [(1, 0), (2, 2), (0, 1)]}


def grid(rank, **more):
    torch.manual_seed(rank)
    return torch.randn(2, 3, *(5, 4, 3)[:rank], dtype=torch.float64, **more)


@pytest.mark.parametrize("border", ["circular", "replicate"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_borders_and_gradients_are_those_of_pytorch(rank, border):
    x = grid(rank, requires_grad=True)
    flat = [n for pair in reversed(ENDS[rank]) for n in pair]
    want, found = F.pad(x, flat, mode=border), around(x, ENDS[rank], border)
    assert torch.equal(found, want)
    assert torch.equal(around(x.detach(), ENDS[rank], border), want)
    slope = torch.randn_like(want)
    (ours,) = torch.autograd.grad(found, x, slope)
    (theirs,) = torch.autograd.grad(want, x, slope)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("border", ["circular", "replicate"])
def test_channels_last_memory_stays_so(border):
    x = grid(2).contiguous(memory_format=torch.channels_last).requires_grad_()
    found = around(x, ENDS[2], border)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not around(grid(2), ENDS[2], border).is_contiguous(memory_format=torch.channels_last)


def test_nothing_around_is_the_grid_itself():
    x = grid(3)
    assert around(x, [(0, 0)] * 3, "circular") is x
