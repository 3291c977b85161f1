"""The decoder: an answer at every cell of any grid, whatever was halved on the way."""

from dataclasses import replace

import pytest
import torch

from foveal.networks.build import build
from foveal.networks.decoder import Decoder
from foveal.training.optimiser import _sorted_by_kind
from plans import RANKS, SIZE, lived, plan_for, raw_for


def network_for(rank, prior=None, **changes):
    ways = {"stem": "convolution", "stem_width": 4, "stem_kernel": (3,) * rank, **changes}
    plan = plan_for(rank, **ways)
    return build(plan, Decoder(rank, plan.net, 3, prior=prior))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("way", [{}, {"down": "stride", "norm": "group", "widths": (12, 16)}])
def test_every_cell_is_answered(rank, way):
    network = lived(network_for(rank, **way))
    assert network(raw_for(rank)).shape == (4, 3, *SIZE[rank])
    wider = tuple(n + 6 for n in SIZE[rank])
    assert network(raw_for(rank, size=wider)).shape == (4, 3, *wider)


@pytest.mark.parametrize("rank", RANKS)
def test_behind_a_stem_that_strides_the_answers_are_enlarged(rank):
    network = network_for(rank, stem_stride=(2,) * rank)
    size = tuple(2 * (n // 2) for n in SIZE[rank])
    assert network(raw_for(rank, size=size)).shape == (4, 3, *size)


@pytest.mark.parametrize("rank", RANKS)
def test_every_weight_gets_a_gradient(rank):
    network = network_for(rank)
    network(raw_for(rank)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()), name


@pytest.mark.parametrize("rank", RANKS)
def test_padding_never_changes_an_answer(rank):
    network = lived(network_for(rank))
    x = raw_for(rank).float()
    mask = torch.ones(4, 1, *SIZE[rank])
    for axis in range(rank):
        mask.narrow(2 + axis, SIZE[rank][axis] - 1, 1).zero_()
    other = torch.where(mask == 0, torch.full_like(x, 77.0), x)
    a, b = network(x, mask), network(other, mask)
    torch.testing.assert_close(a * mask, b * mask)


def test_the_shares_of_classes_are_what_an_empty_grid_yields():
    prior = torch.tensor([0.7, 0.2, 0.1])
    head = Decoder(2, plan_for(2).net, 3, prior=prior)
    levels = [torch.zeros(1, w, 8 // s[0], 8 // s[1]) for w, s in plan_for(2).net.levels]
    raw = head.eval()(levels, [None] * len(levels))
    torch.testing.assert_close(raw.softmax(1)[0, :, 3, 4], prior)


def test_only_the_layer_that_answers_is_not_rotated():
    kernels, matrices, *_ = _sorted_by_kind(network_for(2))
    assert set(matrices) == {"head.last.weight"}
    assert any("head.ups" in name for name in kernels)
    assert any("head.joins" in name for name in kernels)


def test_a_small_network_learns_a_mask():
    torch.manual_seed(0)
    plan = plan_for(2, stem="convolution", stem_width=8, stem_kernel=(3, 3))
    network = build(replace(plan, seed=1), Decoder(2, plan.net, 2))
    x = raw_for(2, count=8)
    truth = (x[:, 0] > 127).long()
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(x), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (network(x).argmax(1) == truth).float().mean() > 0.97
