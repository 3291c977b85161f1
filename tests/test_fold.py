"""Folding keeps the answers and loses the norms, or says where it could not."""

import pytest
import torch

from foveal.layers import BatchNorm
from foveal.networks.build import build
from foveal.networks.fold import fold, unfolded
from plans import RANKS, lived, plan_for, raw_for

each_rank = pytest.mark.parametrize("rank", RANKS)
each_down = pytest.mark.parametrize("down", ["max", "energy", "average", "stride", "blur"])
PRECISION = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["32", "64"]
)


def norms(network):
    return [m for m in network.modules() if isinstance(m, BatchNorm)]


@each_rank
@each_down
@pytest.mark.parametrize("block", ["plain", "residual"])
@PRECISION
def test_answers_stay_and_norms_go(rank, down, block, dtype, tolerance):
    plan = plan_for(rank, down=down, block=block, stem="convolution", gate=True)
    network = lived(build(plan)).to(dtype)
    folded, x = fold(network), raw_for(rank)
    want = network(x)
    assert want.std() > 1e-3
    torch.testing.assert_close(folded(x), want, atol=tolerance, rtol=tolerance)
    assert len(norms(network)) == 6
    stay = 2 if down == "energy" else 0  # behind the pool of each stage
    assert len(norms(folded)) == len(unfolded(folded)) == stay


@each_rank
@each_down
def test_a_norm_that_cannot_pass_a_pool_stays_and_is_named(rank, down):
    network = lived(build(plan_for(rank, down=down)), negative=True)
    folded, x = fold(network), raw_for(rank)
    torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)
    halving = ("backbone.stages.0.blocks.0", "backbone.stages.1.blocks.0")
    stuck = halving if down in ("max", "energy") else ()
    assert unfolded(network) == unfolded(folded) == stuck
    assert len(norms(folded)) == len(stuck)


def test_a_scale_of_zero_may_pass_a_maximum():
    network = lived(build(plan_for(2, down="max")))
    with torch.no_grad():
        norms(network)[0].weight[0] = 0
    folded, x = fold(network), raw_for(2)
    assert norms(folded) == []
    torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)


@each_rank
def test_padding_does_not_count_afterwards_either(rank):
    network, x = lived(build(plan_for(rank, activation="elu"))), raw_for(rank)
    mask = torch.ones(4, 1, *x.shape[2:])
    mask[:, :, -2:] = 0
    folded = fold(network)
    torch.testing.assert_close(folded(x, mask), network(x, mask), atol=1e-5, rtol=1e-5)


def test_the_original_is_untouched():
    network = build(plan_for(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    assert network.training
    assert not folded.training
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("kind", ["group", "channel"])
def test_other_norms_depend_on_the_sample_and_stay(kind):
    network, x = lived(build(plan_for(2, norm=kind))), raw_for(2)
    folded = fold(network)
    assert torch.equal(folded(x), network(x))
    assert all(block.norm is not None for s in folded.backbone.stages for block in s.blocks)
    assert unfolded(network) == ()
