"""Dense: a matrix product, and dropout that keeps the mean."""

import numpy as np
import pytest
import torch

import laws
from foveal.errors import PlanError
from foveal.layers import Dense


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
def test_equals_the_definition(bias, shape):
    layer, x = Dense(5, 4, bias=bias).double(), torch.randn(shape, dtype=torch.float64)
    expected = np.zeros((*shape[:-1], 4))
    for at in np.ndindex(*shape[:-1]):
        for o in range(4):
            terms = [layer.weight[o, i].item() * x[(*at, i)].item() for i in range(5)]
            expected[(*at, o)] = sum(terms) + (layer.bias[o].item() if bias else 0)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-10)


def test_keeps_the_laws_of_every_layer():
    x = torch.randn(3, 5, dtype=torch.float64)
    laws.traces(Dense(5, 4).double(), x)
    laws.traces(Dense(5, 4, dropout=0.5).double(), x)
    laws.has_right_gradients(Dense(5, 4), x)
    laws.keeps_samples_apart(Dense(5, 4).double(), x)


def test_starts_with_the_scale_of_its_input():
    torch.manual_seed(0)
    out = Dense(500, 400)(torch.randn(50, 500))
    assert out.var().item() == pytest.approx(2, rel=0.1)
    assert (Dense(5, 4).bias == 0).all()


def test_dropout_keeps_the_mean_and_stops_in_evaluation():
    torch.manual_seed(0)
    layer = Dense(1000, 1, dropout=0.3, bias=False)
    torch.nn.init.ones_(layer.weight)
    x = torch.ones(400, 1000)
    out = layer(x)
    assert out.mean().item() == pytest.approx(1000, rel=0.01)
    assert out.std().item() == pytest.approx((1000 * 0.3 / 0.7) ** 0.5, rel=0.2)
    assert (layer.eval()(x) == 1000).all()


def test_the_same_seed_drops_the_same_inputs():
    layer, x = Dense(50, 3, dropout=0.5), torch.randn(4, 50)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"dropout is 1(.|\n)*number in \[0, 1\)"):
        Dense(5, 4, dropout=1)
    with pytest.raises(PlanError, match=r"outputs is 0"):
        Dense(5, 0)
    with pytest.raises(PlanError, match=r"\(2, 4, 3\) does not end in 5(.|\n)*pool or flatten"):
        Dense(5, 4)(torch.zeros(2, 4, 3))


def test_shows_what_it_is():
    assert repr(Dense(5, 4)) == "Dense(5, 4, dropout=0.0)"
