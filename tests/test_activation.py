"""Activations: each equals its formula, keeps the shape, and has gradients."""

import math

import numpy as np
import pytest
import torch

import laws
from foveal.errors import PlanError
from foveal.layers import ACTIVATIONS, activation
from strategies import grid


def _sigmoid(v):
    return 1 / (1 + math.exp(-v))


def _softplus(v):
    return math.log1p(math.exp(v))


FORMULAS = {
    "relu": lambda v: max(v, 0),
    "leaky_relu": lambda v: v if v > 0 else 0.01 * v,
    "relu6": lambda v: min(max(v, 0), 6),
    "elu": lambda v: v if v > 0 else math.expm1(v),
    "selu": lambda v: 1.0507009873554805 * (v if v > 0 else 1.6732632423543772 * math.expm1(v)),
    "celu": lambda v: v if v > 0 else math.expm1(v),
    "gelu": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2,
    "silu": lambda v: v * _sigmoid(v),
    "mish": lambda v: v * math.tanh(_softplus(v)),
    "hardswish": lambda v: v * min(max(v + 3, 0), 6) / 6,
    "hardsigmoid": lambda v: min(max(v + 3, 0), 6) / 6,
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "softplus": _softplus,
    "identity": lambda v: v,
}


def test_every_name_has_a_formula():
    assert set(ACTIVATIONS) == set(FORMULAS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_the_formula(name):
    x = torch.linspace(-8, 8, 101, dtype=torch.float64)
    expected = [FORMULAS[name](v) for v in x.tolist()]
    np.testing.assert_allclose(activation(name)(x).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_keeps_the_laws_of_every_layer(name):
    laws.all_of_them(activation(name), grid(2))


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_does_not_ask_for_the_rank(rank, name):
    laws.all_of_them(activation(name), grid(rank))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_overwrites_only_when_told(name):
    x = grid(1)
    before = x.clone()
    out = activation(name)(x)
    torch.testing.assert_close(x, before, rtol=0, atol=0)
    torch.testing.assert_close(activation(name, inplace=True)(x), out)


def test_relu_can_overwrite():
    x = torch.tensor([-1.0, 2.0])
    assert activation("relu", inplace=True)(x) is x
    assert x.tolist() == [0.0, 2.0]


def test_says_which_name_was_meant():
    with pytest.raises(PlanError, match=r"there is no activation called 'rleu'") as caught:
        activation("rleu")
    assert caught.value.mend == "did you mean 'relu'?"
    assert caught.value.where == "net.activation"
    with pytest.raises(PlanError, match=r"take one of relu, leaky_relu"):
        activation("quux")
