"""Folding: the same answers from plain layers, for every layer and symmetry."""

import pytest
import torch
from torch import nn

import laws
from foveal.layers import BatchNorm, Convolution
from foveal.layers.centred import CentredConvolution, CentredPool
from foveal.layers.symmetry import (
    DepthwiseGroupConvolution,
    FieldGate,
    FieldNorm,
    FieldPool,
    GroupConvolution,
    LiftingConvolution,
    ReadOut,
    SeparableGroupConvolution,
    fold,
    symmetry_of,
)
from foveal.layers.symmetry.turning import TurningConvolution
from turns import NAMED, SIZES, error, fields, randomised, turning_error

named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)
EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}
# (the layer, inputs are plain, the answer is read out)
LAYERS = {
    "lifting": (lambda s: LiftingConvolution(s, 2, 2, 3), True, False),
    "lifting by 2": (lambda s: LiftingConvolution(s, 2, 2, 3, stride=2), True, False),
    "group": (lambda s: GroupConvolution(s, 2, 1, 3, padding="circular"), False, False),
    "group by 2": (lambda s: GroupConvolution(s, 2, 1, 3, stride=2), False, False),
    "group by 3": (lambda s: GroupConvolution(s, 2, 1, 1, stride=3), False, False),
    "group of 2": (lambda s: GroupConvolution(s, 2, 1, 2, bias=False), False, False),
    "group dilated": (lambda s: GroupConvolution(s, 2, 1, 3, dilation=2), False, False),
    "depthwise": (lambda s: DepthwiseGroupConvolution(s, 2, 3), False, False),
    "separable": (lambda s: SeparableGroupConvolution(s, 2, 1, 3, stride=2), False, False),
    "scores": (lambda s: ReadOut(s, 2, 2, 3), False, True),
    "vectors": (lambda s: ReadOut(s, 2, 2, 3, gives="vector"), False, True),
    "boxes": (lambda s: ReadOut(s, 2, 1, gives="faces"), False, True),
    "norm": (lambda s: FieldNorm(s, 2), False, False),
    "gate": (lambda s: FieldGate(s, 2), False, False),
}


def network(symmetry):
    return nn.Sequential(
        LiftingConvolution(symmetry, 2, 3, 3, bias=False),
        FieldNorm(symmetry, 3),
        nn.ReLU(),
        CentredPool(symmetry.rank, "max", 2),
        SeparableGroupConvolution(symmetry, 3, 4, 3),
        FieldNorm(symmetry, 4),
        nn.Sequential(
            GroupConvolution(symmetry, 4, 4, 3, stride=2),
            FieldNorm(symmetry, 4),
            nn.ReLU(),
        ),
        FieldGate(symmetry, 4),
        FieldPool(symmetry),
        nn.Linear(4, 5),
    )


def turning(module):
    kinds = (TurningConvolution, FieldNorm)
    return [type(m).__name__ for m in module.modules() if isinstance(m, kinds)]


@named
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_keeps_its_answers_and_turns_along(symmetry, kind):
    make, plain, reads = LAYERS[kind]
    layer = randomised(make(symmetry)).eval()
    folded = fold(layer)
    assert not turning(folded)
    if reads:
        folded.move = layer.move
    inside, outside = "plain" if plain else "fields", "read" if reads else "fields"
    for dtype, limit in EXACT.items():
        layer.to(dtype), folded.to(dtype)
        for size in SIZES[symmetry.rank]:
            x = fields(symmetry, 2, size).to(dtype)
            x = x[:, :2] if plain else x
            assert error(folded(x), layer(x)) <= limit
            found = turning_error(folded, symmetry, x, inside=inside, outside=outside)
            assert found <= limit, (size, dtype)


@named
def test_a_network_keeps_its_answers_and_loses_its_norms(symmetry):
    net = randomised(network(symmetry)).eval()
    folded = fold(net)
    assert not turning(folded)
    assert not [m for m in folded.modules() if isinstance(m, BatchNorm)]
    for dtype, limit in EXACT.items():
        net.to(dtype), folded.to(dtype)
        for size in SIZES[symmetry.rank]:
            x = fields(symmetry, 2, size)[:, :2].to(dtype)
            assert net(x).std() > 1e-3
            assert error(folded(x), net(x)) <= limit
            found = turning_error(folded, symmetry, x, inside="plain", outside="still")
            assert found <= limit, (size, dtype)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_folded_network_traces(rank):
    symmetry = symmetry_of(rank, "full")
    net = randomised(network(symmetry))
    x = fields(symmetry_of(rank, "none"), 2, [5, 4, 4][:rank])
    laws.traces(net, x)
    laws.traces(fold(net), x)
    laws.keeps_samples_apart(fold(net), x)
    laws.ignores_memory_layout(fold(net), x)


def test_strides_become_centred_and_the_rest_plain():
    symmetry = symmetry_of(2, "full")
    folded = fold(network(symmetry))
    assert type(folded[0]) is Convolution
    assert type(folded[4].depthwise) is Convolution
    assert folded[4].depthwise.groups == 24
    assert type(folded[6][0]) is CentredConvolution
    assert type(folded[1]) is nn.Identity
    assert type(folded[5]) is nn.Identity
    assert folded[0].weight.shape == (24, 2, 3, 3)
    assert fold(GroupConvolution(symmetry, 1, 1, 2)).kernel == (3, 3)


def test_the_original_is_untouched():
    net = network(symmetry_of(2, "rotations")).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    folded = fold(net)
    assert net.training
    assert not any(module.training for module in folded.modules())
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


class Block(nn.Module):
    """A convolution whose answer goes two ways, outside an nn.Sequential."""

    def __init__(self, symmetry):
        super().__init__()
        self.convolution = GroupConvolution(symmetry, 2, 2, 3)
        self.norm = FieldNorm(symmetry, 2)
        self.other = None

    def forward(self, x):
        x = self.convolution(x)
        return self.norm(x) + x


def test_outside_a_sequence_norms_become_plain_ones():
    symmetry = symmetry_of(2, "full")
    block = randomised(Block(symmetry)).eval()
    folded = fold(block)
    x = fields(symmetry, 2, (4, 5))
    assert type(folded.norm) is BatchNorm
    assert folded.norm.channels == 16
    assert error(folded(x), block(x)) <= 1e-12


def test_only_a_norm_right_behind_a_convolution_is_merged():
    symmetry = symmetry_of(2, "full")
    act = nn.ReLU()
    net = nn.Sequential(
        act,
        GroupConvolution(symmetry, 2, 2, 3),
        act,  # the same module again: not a neighbour to be overlooked
        FieldNorm(symmetry, 2),
        Convolution(2, 16, 16, 3),  # a plain one may be used elsewhere: left alone
        FieldNorm(symmetry, 2),
        FieldNorm(symmetry, 2, "group"),
    )
    net = randomised(net).eval()
    folded = fold(net)
    x = fields(symmetry, 2, (4, 4))
    assert error(folded(x), net(x)) <= 1e-12
    assert [type(m) for m in folded][3::2] == [BatchNorm, BatchNorm]
    assert isinstance(folded[6], FieldNorm)  # depends on the sample and stays


def test_a_layer_used_twice_is_folded_twice():
    symmetry = symmetry_of(1, "full")
    layer = GroupConvolution(symmetry, 2, 2, 3)
    net = randomised(nn.Sequential(layer, FieldNorm(symmetry, 2), nn.ReLU(), layer)).eval()
    x = fields(symmetry, 2, (6,))
    assert error(fold(net)(x), net(x)) <= 1e-12
