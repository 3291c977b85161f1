"""Fewer multiplications: the same convolution and the same gradients, by rounding alone apart."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import reference
from foveal.layers import Convolution, channels_last, tiled, winograd
from foveal.layers.winograd import Tiling, tile_for, transforms
from foveal.planner.machine import Machine

RANKS = [1, 2, 3]
SIZES = {1: (13,), 2: (7, 12), 3: (5, 6, 4)}
DIRECT = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def pair(rank, inputs=3, outputs=5, kernel=3, batch=4):
    """A channels-last grid and a kernel of ``rank`` axes, float32."""
    torch.manual_seed(rank)
    x = channels_last(torch.randn(batch, inputs, *SIZES[rank]))
    return x, torch.randn(outputs, inputs, *[kernel] * rank) / (inputs * kernel**rank) ** 0.5


def direct(x, weight):
    return DIRECT[x.ndim - 2](x, weight, padding=tuple(k // 2 for k in weight.shape[2:]))


def apart(one, other):
    return float(((one.double() - other).abs().max() / other.abs().max()).detach())


@pytest.mark.parametrize("taps", [1, 3, 5])
@pytest.mark.parametrize("tile", [1, 2, 3, 4])
def test_points_give_the_correlation(tile, taps):
    if taps == 1 and tile > 1:
        pytest.skip("an axis of one tap is not tiled")
    chance = np.random.default_rng(tile)
    cells, kernel = chance.normal(size=tile + taps - 1), chance.normal(size=taps)
    a, b, g = (x.numpy() for x in transforms(tile, taps))
    found = a @ ((b @ cells) * (g @ kernel))
    assert np.allclose(found, np.correlate(cells, kernel, "valid"), atol=1e-12)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("edge", winograd.TILES)
def test_equals_the_definition(rank, edge):
    x, weight = pair(rank)
    want = reference.convolution(
        x.double().numpy(), weight.double().numpy(), None, (1,) * rank, (1,) * rank
    )
    found = winograd.convolve(x, weight, (edge,) * rank)
    assert found.shape == want.shape
    assert apart(found, torch.from_numpy(want)) < (5e-6, 1e-5, 1e-4)[rank - 1]
    assert found.movedim(1, -1).is_contiguous()


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("cached", [1, 1 << 20])
def test_gradients_equal_those_of_the_plain_way(rank, cached, monkeypatch):
    monkeypatch.setattr(winograd, "CACHED", cached)  # one sample at a time, and all at once
    x, weight = pair(rank, batch=3)
    tile = (4, 3, 2)[:rank]
    mine = [v.clone().requires_grad_() for v in (x, weight)]
    plain = [v.double().requires_grad_() for v in (x, weight)]
    out, want = winograd.convolve(*mine, tile), direct(*plain)
    slope = torch.randn_like(want)
    out.backward(slope.float())
    want.backward(slope)
    assert apart(out, want) < 5e-6
    assert all(apart(m.grad, p.grad) < 1e-5 for m, p in zip(mine, plain, strict=True))


def test_only_what_is_asked_has_a_gradient():
    x, weight = pair(2)
    for wanted in (0, 1):
        values = [x.clone(), weight.clone()]
        values[wanted].requires_grad_()
        winograd.convolve(*values, (4, 4)).sum().backward()
        assert values[wanted].grad is not None
        assert values[1 - wanted].grad is None


def test_a_group_of_fewer_samples_closes_the_batch(monkeypatch):
    x, weight = pair(2, batch=5)
    tiling = Tiling(SIZES[2], (3, 3), (4, 4))
    whole = winograd.convolve(x, weight, (4, 4))
    points, cells = 36, 16
    each = 4 * 6 * (2 * points * 3 + (points + cells) * 5)
    monkeypatch.setattr(winograd, "CACHED", 2 * each)
    assert tiling.group(3, 5) == 2
    # Products of other sizes may be summed in another order.
    assert torch.allclose(winograd.convolve(x, weight, (4, 4)), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "kernel", "inputs", "outputs", "tile"),
    [
        ((8, 8), (3, 3), 128, 256, (4, 4)),
        ((6, 6), (3, 3), 128, 256, (6, 6)),
        ((8, 8), (3, 3), 16, 16, None),  # moving would cost more than it saves
        ((8, 8), (1, 1), 512, 512, None),  # nothing to save
        ((8, 8), (2, 2), 512, 512, None),  # even kernels have no middle
        ((4, 8, 8), (1, 3, 3), 128, 128, (1, 4, 4)),  # the flat axis stays whole
    ],
)
def test_tiles_are_taken_where_they_pay(size, kernel, inputs, outputs, tile):
    assert tile_for(size, kernel, inputs, outputs) == tile


@pytest.mark.parametrize("rank", RANKS)
def test_a_layer_gives_the_same_answers(rank, monkeypatch):
    monkeypatch.setattr(winograd, "MOVED", 0.0)
    monkeypatch.setattr(winograd, "PLAIN", 100.0)
    tile_for.cache_clear()
    x, _ = pair(rank, inputs=4)
    layer = Convolution(rank, 4, 6, 3)
    torch.nn.init.normal_(layer.bias)
    plain = layer(x)
    went = []
    monkeypatch.setattr(
        winograd._Tiled, "apply", lambda *a, real=winograd._Tiled.apply: went.append(a) or real(*a)
    )
    assert torch.allclose(tiled(layer)(x), plain, atol=1e-5)
    assert len(went) == 1
    tile_for.cache_clear()


@pytest.mark.parametrize(
    "settings",
    [{"stride": 2}, {"dilation": 2}, {"groups": 128}, {"padding": "circular"}, {}],
)
def test_what_is_not_meant_goes_the_plain_way(settings):
    layer = tiled(Convolution(2, 128, 128, 3, bias=False, **settings))
    x = torch.randn(1, 128, 8, 8)
    if not settings:
        assert layer._tile(x) == (4, 4)
        assert layer._tile(x.double()) is None
        with torch.autocast("cpu", torch.bfloat16):
            assert layer._tile(x) is None
    else:
        assert layer._tile(x) is None


def test_layers_are_plain_until_told():
    layer = Convolution(2, 128, 128, 3)
    assert not layer.tiled
    assert tiled(torch.nn.Sequential(layer))[0].tiled


def test_the_reason_holds_both_rates():
    machine = Machine("cpu", "made", 1, "fp32", True, 100.0, {"fp32": 100.0}, 4096)
    assert machine.why_winograd == "tried for fp32 on a CPU alone"
    machine = dataclasses.replace(machine, winograd=True, wide=(300.0, 510.0))
    assert "300 GFLOP/s the plain way, 510 by Winograd's" in machine.why_winograd


def test_matrices_first_made_while_answering_serve_in_training():
    winograd.matrices.cache_clear()
    transforms.cache_clear()
    x, weight = pair(2)
    with torch.inference_mode():
        winograd.convolve(x, weight, (3, 2))
    weight.requires_grad_()
    winograd.convolve(x, weight, (3, 2)).sum().backward()
    assert weight.grad is not None
