"""Lifting, group, depthwise and separable convolutions: definitions, and turning along exactly."""

import numpy as np
import pytest
import torch

import laws
from foveal.errors import PlanError
from foveal.layers import Convolution, channels_last
from foveal.layers.symmetry import (
    DepthwiseGroupConvolution,
    GroupConvolution,
    LiftingConvolution,
    SeparableGroupConvolution,
    Symmetry,
    Turn,
    symmetry_of,
)
from turns import (
    NAMED,
    SIZES,
    every_subgroup,
    fields,
    grouped,
    lifted,
    matrix,
    randomised,
    turning_error,
)

named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)
EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}
# What is asked of each: (inputs are plain, layer for a symmetry and settings).
LAYERS = {
    "lifting": (True, lambda s, **set_: LiftingConvolution(s, 2, 2, **set_)),
    "group": (False, lambda s, **set_: GroupConvolution(s, 2, 1, **set_)),
    "depthwise": (False, lambda s, **set_: DepthwiseGroupConvolution(s, 2, **set_)),
    "separable": (False, lambda s, **set_: SeparableGroupConvolution(s, 2, 1, **set_)),
}
SETTINGS = {
    "3": {"kernel": 3},
    "3 by 2": {"kernel": 3, "stride": 2},
    "2": {"kernel": 2, "padding": "replicate"},
    "1 by 3": {"kernel": 1, "stride": 3},
    "3 circular": {"kernel": 3, "padding": "circular"},
    "3 dilated": {"kernel": 3, "dilation": 2, "bias": False},
}
each_layer = pytest.mark.parametrize("kind", LAYERS)


def plain(rank, channels, size):
    made = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, *size, generator=made, dtype=torch.float64)


def input_for(kind, symmetry, size):
    if LAYERS[kind][0]:
        return plain(symmetry.rank, 2, size), "plain"
    return fields(symmetry, 2, size), "fields"


@named
@each_layer
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_turns_along_exactly(symmetry, kind, setting):
    layer = randomised(LAYERS[kind][1](symmetry, **setting))
    for size in SIZES[symmetry.rank]:
        x, inside = input_for(kind, symmetry, size)
        for dtype, limit in EXACT.items():
            found = turning_error(layer.to(dtype), symmetry, x.to(dtype), inside=inside)
            assert found <= limit, (size, dtype)
        layer.double()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_turns_along_for_every_subgroup(rank):
    for symmetry in every_subgroup(rank):
        for kind in ("lifting", "group"):
            layer = randomised(LAYERS[kind][1](symmetry, kernel=3))
            x, inside = input_for(kind, symmetry, SIZES[rank][-1])
            assert turning_error(layer, symmetry, x[:1], inside=inside) <= 1e-12, symmetry.turns


@pytest.mark.parametrize("name", [n for n in NAMED if n not in ("3 full", "3 slices")])
@pytest.mark.parametrize("stride", [1, 2])
def test_lifting_equals_the_definition(name, stride):
    symmetry, size = NAMED[name], SIZES[NAMED[name].rank][-1]
    layer = randomised(LiftingConvolution(symmetry, 2, 2, 3, stride=stride, bias=False))
    x = plain(symmetry.rank, 2, size)
    turns_ = [matrix(turn) for turn in symmetry.turns]
    slow = lifted(x.numpy(), layer.weight.detach().numpy(), turns_, (stride,) * symmetry.rank)
    np.testing.assert_allclose(layer(x).detach().numpy(), slow.reshape(layer(x).shape), atol=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMED if NAMED[n].rank < 3] + ["3 plane rotations"])
@pytest.mark.parametrize("stride", [1, 2])
def test_group_equals_the_definition(name, stride):
    symmetry, size = NAMED[name], [4, 3, 2][: NAMED[name].rank]
    layer = randomised(GroupConvolution(symmetry, 2, 2, 3, stride=stride, bias=False))
    x = fields(symmetry, 2, size, batch=1)
    turns_ = [matrix(turn) for turn in symmetry.turns]
    apart, weight = symmetry.apart(x).numpy(), layer.weight.detach().numpy()
    slow = grouped(apart, weight, turns_, (stride,) * symmetry.rank)
    np.testing.assert_allclose(layer(x).detach().numpy(), slow.reshape(layer(x).shape), atol=1e-12)


@named
def test_depthwise_is_a_group_convolution_of_one_turn(symmetry):
    """Its kernel is the group kernel in which field k sees only itself, at turn 0."""
    deep = randomised(DepthwiseGroupConvolution(symmetry, 2, 3))
    full = GroupConvolution(symmetry, 2, 2, 3).double()
    with torch.no_grad():
        full.weight.zero_()
        for k in range(2):
            full.weight[k, k, 0] = deep.weight[k]
        full.bias.copy_(deep.bias)
    x = fields(symmetry, 2, SIZES[symmetry.rank][-1])
    torch.testing.assert_close(deep(x), full(x), atol=1e-12, rtol=1e-12)


@named
def test_separable_is_a_group_convolution_of_low_rank(symmetry):
    layer = randomised(SeparableGroupConvolution(symmetry, 2, 3, 3))
    full = GroupConvolution(symmetry, 2, 3, 3).double()
    with torch.no_grad():
        # psi(k, c, r) is the pointwise weight times the depth kernel that turn r has turned.
        for r, turn in enumerate(symmetry.turns):
            deep = turn.move(layer.depthwise.weight)  # (C, *k)
            point = layer.pointwise.weight[:, :, r].reshape(3, 2, *[1] * symmetry.rank)
            full.weight[:, :, r] = point * deep
        full.bias.copy_(layer.pointwise.bias)
    x = fields(symmetry, 2, SIZES[symmetry.rank][-1])
    # Zeros outside the grid are seen by the depthwise half alone, so borders agree as well.
    torch.testing.assert_close(layer(x), full(x), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_without_turns_it_is_the_plain_convolution(rank):
    still = symmetry_of(rank, "none")
    x = plain(rank, 3, [5] * rank)
    convolution = randomised(Convolution(rank, 3, 2, 3))
    for layer in (LiftingConvolution(still, 3, 2, 3), GroupConvolution(still, 3, 2, 3)):
        layer.double().weight.data = convolution.weight.data.view(layer.weight.shape)
        layer.bias.data = convolution.bias.data
        assert torch.equal(layer(x), convolution(x))


@each_layer
@pytest.mark.parametrize("name", ["1 full", "2 rotations", "3 plane rotations"])
@pytest.mark.parametrize("stride", [1, 2])
def test_keeps_the_laws_of_every_layer(kind, name, stride):
    symmetry = NAMED[name]
    layer = LAYERS[kind][1](symmetry, kernel=3, stride=stride)
    x, _ = input_for(kind, symmetry, [4, 3, 4][: symmetry.rank])
    laws.all_of_them(layer, x)


@named
def test_gradients_do_not_see_how_the_input_was_turned(symmetry):
    first = randomised(LiftingConvolution(symmetry, 2, 2, 3, stride=2))
    then = randomised(GroupConvolution(symmetry, 2, 2, 3))
    x = plain(symmetry.rank, 2, SIZES[symmetry.rank][-1])
    weights = [*first.parameters(), *then.parameters()]

    def gradients(x):
        score = then(first(x).relu()).relu().square().mean()
        return torch.cat([g.flatten() for g in torch.autograd.grad(score, weights)])

    expected = gradients(x)
    for number in range(len(symmetry)):
        found = gradients(symmetry.move(number, x))
        assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_kernel_lies_as_its_input_does(rank, monkeypatch):
    """Put in another order it would be copied, there and back, in every step."""
    seen = []
    monkeypatch.setattr(
        "foveal.layers.symmetry.turning.slide", lambda x, weight, *rest, **more: seen.append(weight)
    )
    layer = GroupConvolution(symmetry_of(rank, "full"), 2, 2, 3)
    x = torch.randn(2, layer.inputs, *[5] * rank)
    layer(x)
    layer(channels_last(x))
    assert seen[0].is_contiguous()
    assert seen[1].stride(1) == 1
    assert seen[1].movedim(1, -1).is_contiguous()
    assert torch.equal(*seen)


@pytest.mark.parametrize("kind", ["lifting", "group", "depthwise"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_last_memory_stays_so(kind, rank):
    symmetry = symmetry_of(rank, "full")
    x, _ = input_for(kind, symmetry, [4] * rank)
    assert LAYERS[kind][1](symmetry, kernel=3)(channels_last(x.float())).stride(1) == 1


@named
def test_has_a_share_of_the_weights_of_a_plain_convolution(symmetry):
    n = len(symmetry)
    layer = GroupConvolution(symmetry, 2, 3, 3)
    assert layer.kernels().shape == (3 * n, 2 * n, *[3] * symmetry.rank)
    assert layer.weight.numel() * n == layer.kernels().numel()
    assert layer.offsets().shape == (3 * n,)
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_starts_with_the_scale_of_its_input():
    torch.manual_seed(0)
    symmetry = symmetry_of(2, "full")
    x = torch.randn(4, 8 * 16, 9, 9).relu() * 2**0.5  # mean square 1, as behind a ReLU
    for layer in (GroupConvolution(symmetry, 16, 16, 3), LiftingConvolution(symmetry, 128, 16, 3)):
        inner = layer(x)[..., 1:-1, 1:-1]  # cells that see no padding
        assert inner.var().item() == pytest.approx(2, rel=0.25)


def wrong(layer, sign):
    """``layer`` with the taps of one turn laid out for another: a wrong sign."""
    symmetry = layer.symmetry
    fault = next(t for t in symmetry.turns if t.to == (1, 0) and t.sign == (1, -1))
    turned = [Turn(t.to, sign) if t == fault else t for t in symmetry.turns]
    taps = torch.arange(9).view(3, 3)
    moved = torch.stack([turn.move(taps).flatten() for turn in turned])
    right = torch.stack([turn.move(taps).flatten() for turn in symmetry.turns])
    n = len(symmetry)
    rows = layer.layout.reshape(n, -1, 9) - right[:, None] + moved[:, None]
    layer.layout = rows.view(layer.layout.shape)
    return layer


@pytest.mark.parametrize("kind", ["lifting", "group", "depthwise"])
@pytest.mark.parametrize("sign", [(-1, 1), (1, 1), (-1, -1)])
def test_a_planted_wrong_sign_is_caught(kind, sign):
    symmetry = symmetry_of(2, "rotations")
    layer = randomised(LAYERS[kind][1](symmetry, kernel=3))
    x, inside = input_for(kind, symmetry, (7, 7))
    right = turning_error(layer, symmetry, x, inside=inside)
    assert right <= 1e-12
    assert turning_error(wrong(layer, sign), symmetry, x, inside=inside) > 1e-2


def test_a_planted_exchange_of_orientations_is_caught():
    symmetry = symmetry_of(2, "rotations")
    layer = randomised(GroupConvolution(symmetry, 2, 2, 3))
    x = fields(symmetry, 2, (7, 7))
    layer.layout = layer.layout.view(4, 2, 4, 2, 3, 3)[:, :, [0, 1, 3, 2]].reshape(8, 8, 3, 3)
    assert turning_error(layer, symmetry, x) > 1e-2


def test_a_planted_product_the_wrong_way_round_is_caught():
    symmetry = symmetry_of(2, "full")
    swapped = Symmetry(2, symmetry.turns)
    swapped.__dict__["product"] = tuple(zip(*symmetry.product, strict=True))  # h g for g h
    layer = randomised(GroupConvolution(swapped, 2, 2, 3))
    assert turning_error(layer, symmetry, fields(symmetry, 2, (6, 6))) > 1e-2


def test_kernels_may_differ_on_axes_that_are_not_exchanged():
    slices = symmetry_of(3, "full", alike=((1, 2),))
    layer = randomised(LiftingConvolution(slices, 1, 1, (1, 3, 3), stride=(1, 2, 2)))
    x = plain(3, 1, (3, 5, 4))
    assert turning_error(layer, slices, x, inside="plain") <= 1e-12
    assert layer(x).shape == (2, 16, 3, 3, 2)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("kernel", {"kernel": (3, 5)}),
        ("stride", {"kernel": 3, "stride": (1, 2)}),
        ("dilation", {"kernel": 3, "dilation": (1, 2)}),
    ],
)
@each_layer
def test_says_what_differs_on_exchanged_axes(kind, name, setting):
    with pytest.raises(PlanError, match=rf"{name} \(.*\) differs on axes \(0, 1\)") as caught:
        LAYERS[kind][1](symmetry_of(2, "full"), **setting)
    assert caught.value.mend.startswith("give exchanged axes the same number")
    LAYERS[kind][1](symmetry_of(2, "flips"), **setting)


@each_layer
def test_says_what_does_not_fit(kind):
    symmetry = symmetry_of(2, "rotations")
    with pytest.raises(PlanError, match=r"kernel \(3, 3, 3\) does not fit a grid of rank 2"):
        LAYERS[kind][1](symmetry, kernel=(3, 3, 3))
    with pytest.raises(PlanError, match=r"has no middle cell"):
        LAYERS[kind][1](symmetry, kernel=3, stride=2, dilation=2)
    with pytest.raises(PlanError, match=r"\(1, 3, 5, 5\) does not fit \d channels, rank 2"):
        LAYERS[kind][1](symmetry, kernel=3)(torch.zeros(1, 3, 5, 5))


@pytest.mark.parametrize("kind", [LiftingConvolution, GroupConvolution, SeparableGroupConvolution])
def test_says_that_counts_are_whole_numbers(kind):
    with pytest.raises(PlanError, match=r"s is 0"):
        kind(symmetry_of(1, "full"), 0, 1, 3)
    with pytest.raises(PlanError, match=r"outputs is 0"):
        kind(symmetry_of(1, "full"), 1, 0, 3)


def test_shows_what_it_is():
    layer = GroupConvolution(symmetry_of(2, "full"), 2, 3, 3, stride=2, bias=False)
    assert repr(layer) == (
        "GroupConvolution(Symmetry(rank 2, 8 turns), channels 16 to 24, (3, 3), "
        "stride=(2, 2), dilation=(1, 1), bias=False)"
    )
