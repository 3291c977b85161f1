"""The pooled head: what must hold before any training, on grids of any rank."""

import pytest
import torch
import torch.nn.functional as F

from foveal.errors import PlanError
from foveal.networks.head import PooledHead

GRIDS = [(9,), (4, 5), (2, 3, 4)]
each_grid = pytest.mark.parametrize("grid", GRIDS, ids=["rank1", "rank2", "rank3"])


@each_grid
@pytest.mark.parametrize("pool", ["average", "max"])
def test_is_pool_then_scaled_weights_plus_bias(grid, pool):
    head, x = PooledHead(8, 3, pool=pool, scale=0.25), torch.randn(2, 8, *grid)
    pooled = x.flatten(2).mean(-1) if pool == "average" else x.flatten(2).amax(-1)
    by_hand = 0.25 * pooled @ head.last.weight.T + head.last.bias
    torch.testing.assert_close(head(x), by_hand)


@each_grid
def test_without_evidence_the_first_loss_is_the_entropy_of_the_classes(grid):
    prior = torch.tensor([0.7, 0.2, 0.1])
    labels = torch.tensor([0] * 7 + [1] * 2 + [2])
    raw = PooledHead(8, 3, scale=0.1, prior=prior)(torch.zeros(10, 8, *grid))
    torch.testing.assert_close(F.cross_entropy(raw, labels), -(prior * prior.log()).sum())


def test_a_class_that_never_occurs_is_unlikely_but_not_impossible():
    head = PooledHead(8, 2, prior=torch.tensor([1.0, 0.0]))
    assert head.last.bias.isfinite().all()
    assert head(torch.zeros(1, 8, 3)).softmax(-1)[0, 1] < 1e-5


@each_grid
@pytest.mark.parametrize("pool", ["average", "max"])
def test_padding_does_not_count(grid, pool):
    head, x = PooledHead(8, 3, hidden=(5,), pool=pool), torch.randn(2, 8, *grid)
    wide = F.pad(x, [0, 3], value=1e3)
    mask = F.pad(torch.ones(2, 1, *grid), [0, 3])
    torch.testing.assert_close(head(wide, mask), head(x))


def test_hidden_layers_are_fully_connected_with_an_activation_between():
    head = PooledHead(8, 3, hidden=(6, 5), activation="tanh").eval()
    assert [tuple(layer.weight.shape) for layer in head.hidden] == [(6, 8), (5, 6)]
    x = torch.randn(4, 8, 7)
    values = x.mean(-1)
    for layer in head.hidden:
        values = torch.tanh(values @ layer.weight.T + layer.bias)
    torch.testing.assert_close(head(x), values @ head.last.weight.T + head.last.bias)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    head, x = PooledHead(64, 3, dropout=0.5), torch.randn(2, 64, 5)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))


def test_gradients_reach_every_parameter():
    head = PooledHead(8, 3, hidden=(6,), activation="silu")
    F.cross_entropy(head(torch.randn(5, 8, 4, 4)), torch.tensor([0, 1, 2, 0, 1])).backward()
    for name, value in head.named_parameters():
        assert value.grad.abs().sum() > 0, name


def test_says_what_prior_it_wants():
    with pytest.raises(PlanError, match=r"shape \(2,\) for 3 outputs(.|\n)*one frequency per"):
        PooledHead(8, 3, prior=torch.tensor([0.5, 0.5]))
