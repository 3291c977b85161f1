"""SqueezeExcite: the definition with a mask, laws, messages."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import SqueezeExcite
from strategies import few, grid, masked_grids

RANKS = [1, 2, 3]


def pair(dense):
    return dense.weight.detach().numpy(), dense.bias.detach().numpy()


@few
@given(masked_grids(channels=8))
def test_equals_the_definition(case):
    x, mask = case
    layer = SqueezeExcite(8, 2).double()
    for value in (layer.squeeze.bias, layer.excite.bias):
        torch.nn.init.normal_(value)
    squeeze, excite = pair(layer.squeeze), pair(layer.excite)
    whole = reference.squeeze_excite(x.numpy(), np.ones_like(mask.numpy()), squeeze, excite)
    np.testing.assert_allclose(layer(x).detach().numpy(), whole, atol=1e-10)
    masked = reference.squeeze_excite(x.numpy(), mask.numpy(), squeeze, excite)
    np.testing.assert_allclose(layer(x, mask).detach().numpy(), masked, atol=1e-10)


@pytest.mark.parametrize("rank", RANKS)
def test_keeps_the_laws_of_every_layer(rank):
    layer, x = SqueezeExcite(8, 2), grid(rank, channels=8)
    laws.all_of_them(layer, x)
    laws.traces(layer, x, torch.ones_like(x[:, :1]))
    axes = tuple(range(2, x.ndim))
    torch.testing.assert_close(layer(x.flip(axes)), layer(x).flip(axes))


@pytest.mark.parametrize("rank", RANKS)
def test_padding_does_not_count(rank):
    layer, x, pad = SqueezeExcite(8).double(), grid(rank, channels=8), [0, 2] * rank
    mask = F.pad(torch.ones_like(x[:, :1]), pad)
    out = layer(F.pad(x, pad, value=1e3), mask)
    real = out[(..., *[slice(n) for n in x.shape[2:]])]
    torch.testing.assert_close(real, layer(x))


def test_halves_everything_when_it_knows_nothing():
    layer, x = SqueezeExcite(4), torch.randn(2, 4, 5)
    torch.nn.init.zeros_(layer.excite.weight)
    torch.testing.assert_close(layer(x), x / 2)


def test_hidden_layer_is_narrower_but_never_empty():
    assert SqueezeExcite(32).squeeze.outputs == 8
    assert SqueezeExcite(2, 16).squeeze.outputs == 1


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"reduction is 0(.|\n)*where: SqueezeExcite"):
        SqueezeExcite(8, 0)
    with pytest.raises(PlanError, match=r"channels is 0"):
        SqueezeExcite(0)
