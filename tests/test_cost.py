"""Costs: the published formula, sums over networks, and layers of every kind."""

from math import prod

import pytest
import torch
from torch import nn

from foveal.errors import PlanError
from foveal.layers import BlurDown, Convolution, Dense, TransposedConvolution
from foveal.networks.build import build
from foveal.networks.cost import cost
from plans import RANKS, SIZE, plan_for


def test_the_worked_example_of_shared_weights():
    # 28 x 28, 3 -> 16 channels, kernel 3: 448 weights do the work of 29.5 million.
    layer = cost(Convolution(2, 3, 16, 3), 3, (28, 28)).layers[0]
    assert (layer.parameters, layer.local_parameters) == (448, 351_232)
    assert layer.dense_parameters == 29_516_032
    assert layer.dense_parameters // layer.parameters == 65_884
    assert layer.size == (16, 28, 28)
    assert layer.macs == 28 * 28 * 16 * 27


def test_the_worked_example_in_three_axes():
    layer = cost(Convolution(3, 3, 16, 3), 3, (28, 28, 28)).layers[0]
    assert layer.dense_parameters // layer.parameters == 17_630_400


def counted(layer, x):
    """Multiply-adds by autograd's own count: ones everywhere make each product a one."""
    with torch.no_grad():
        for value in layer.parameters():
            value.fill_(1 if value.ndim > 1 else 0)
    return layer(torch.ones_like(x)).sum().item()


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("groups", [1, 2])
def test_multiply_adds_of_windows_that_stay_inside(rank, groups):
    # Kernels no wider than their stride never leave a grid that they divide.
    layer = Convolution(rank, 4, 6, 2, stride=2, groups=groups)
    x = torch.zeros(1, 4, *(4, 6, 8)[:rank])
    assert cost(layer, 4, x.shape[2:]).macs == counted(layer, x)


@pytest.mark.parametrize("rank", RANKS)
def test_a_transposed_convolution_multiplies_at_its_inputs(rank):
    layer = TransposedConvolution(rank, 4, 6, 2)
    x = torch.zeros(1, 4, *(3, 4, 5)[:rank])
    assert cost(layer, 4, x.shape[2:]).macs == counted(layer, x)


def test_grouped_windows_see_their_own_channels_only():
    layer = cost(Convolution(1, 4, 6, 3, groups=2, bias=False), 4, (10,)).layers[0]
    assert (layer.parameters, layer.macs, layer.local_parameters) == (36, 360, 360)
    assert layer.dense_parameters == 10 * 6 * 10 * 4


@pytest.mark.parametrize("rank", RANKS)
def test_a_blur_has_no_parameters_but_costs_its_kernel(rank):
    layer = cost(BlurDown(rank, 2), 5, (8,) * rank).layers[0]
    assert (layer.kind, layer.parameters) == ("blur", 0)
    assert layer.macs == 5 * 4**rank * 3**rank


def test_a_fully_connected_layer_shares_nothing():
    layer = cost(nn.Sequential(nn.Flatten(), Dense(12, 5)), 3, (4,)).layers[0]
    assert (layer.kind, layer.macs) == ("dense", 60)
    assert layer.parameters == layer.dense_parameters == layer.local_parameters == 65


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_sums_cover_every_parameter_of_a_network(rank, block):
    network = build(plan_for(rank, block=block, gate=True, hidden=(9,), down="blur"))
    found = cost(network, 2, SIZE[rank])
    assert found.parameters == sum(p.numel() for p in network.parameters())
    for field in ("parameters", "macs", "dense_parameters", "local_parameters"):
        assert getattr(found, field) == sum(getattr(layer, field) for layer in found.layers)
    assert found.dense_parameters > found.local_parameters > found.parameters
    known = dict(network.named_modules())
    assert all(layer.name in known for layer in found.layers)
    assert {layer.kind for layer in found.layers} == {"convolution", "norm", "dense", "blur"}


def test_layers_stand_in_the_order_of_use_with_their_sizes():
    layers = cost(build(plan_for(2)), 2, (12, 8)).layers
    kernels = [layer for layer in layers if layer.kind == "convolution"]
    assert [layer.size for layer in kernels] == [
        (16, 12, 8),
        (6, 12, 8),
        (6, 6, 4),
        (8, 6, 4),
        (8, 3, 2),
        (8, 3, 2),
    ]
    before = 2
    for layer in kernels:
        taps = 4 if layer is kernels[0] else 9
        assert layer.macs == prod(layer.size) * before * taps
        before = layer.size[0]
    assert layers[-1].name == "head.last"


def test_the_network_itself_is_left_alone():
    network = build(plan_for(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    cost(network, 2, (12, 8))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_a_sample_that_does_not_fit_is_refused():
    with pytest.raises(PlanError, match="built for 2 channels, this has 3"):
        cost(build(plan_for(2)), 3, (12, 8))
