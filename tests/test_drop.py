"""DropPath: all or nothing of a sample, the mean kept, nothing outside training."""

import pytest
import torch

import laws
from foveal.errors import PlanError
from foveal.layers import DropPath
from strategies import grid

RANKS = [1, 2, 3]


@pytest.mark.parametrize("rank", RANKS)
def test_a_sample_goes_whole_or_not_at_all(rank):
    torch.manual_seed(0)
    x = torch.ones(64, 3, *[4] * rank, dtype=torch.float64)
    rows = DropPath(0.25)(x).flatten(1)
    assert (rows == rows[:, :1]).all()
    torch.testing.assert_close(rows[:, 0].unique(), torch.tensor([0, 4 / 3], dtype=torch.float64))


def test_keeps_the_mean_and_the_rate():
    torch.manual_seed(0)
    out = DropPath(0.3)(torch.ones(20_000, 1))
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("rank", RANKS)
def test_does_nothing_outside_training(rank):
    x = grid(rank)
    assert DropPath(0.5).eval()(x) is x
    assert DropPath(0.0)(x) is x
    laws.all_of_them(DropPath(0.5).eval(), x)


def test_the_same_seed_drops_the_same_samples():
    layer, x = DropPath(0.5), torch.ones(64, 1)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)


def test_gradient_is_what_was_kept():
    torch.manual_seed(0)
    x = torch.randn(16, 2, 3, requires_grad=True)
    out = DropPath(0.5)(x)
    out.sum().backward()
    kept = (out.detach() != 0).float() * 2
    torch.testing.assert_close(x.grad, kept)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_says_how_to_mend_a_rate(rate):
    with pytest.raises(PlanError, match=rf"rate is {rate}(.|\n)*where: DropPath(.|\n)*\[0, 1\)"):
        DropPath(rate)


def test_shows_what_it_is():
    assert repr(DropPath(0.1)) == "DropPath(0.1)"
