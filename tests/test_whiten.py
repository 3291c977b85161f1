"""Whiten: what comes out is decorrelated; the directions are those of the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import Whiten
from strategies import few, grid, per_axis, ranks

RANKS = [1, 2, 3]


def smooth(rank, *, batch=6, channels=2, cells=6, seed=0):
    """Grids whose neighbours resemble each other, as real ones do."""
    made = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, *[cells] * rank, generator=made, dtype=torch.float64)
    for axis in range(2, x.ndim):
        x = x + 0.7 * x.roll(1, axis)
    return x + 0.5 * x.roll(1, 1)


@few
@given(ranks, st.integers(0, 9), st.data())
def test_equals_the_definition(rank, seed, data):
    kernel = data.draw(per_axis(rank, 1, 2 if rank == 3 else 3))
    x = smooth(rank, seed=seed)
    layer = Whiten(rank, 2, kernel).double()
    layer.fit(x)
    rows = reference.patches(x.numpy(), kernel)
    covariance = np.cov(rows, rowvar=False, bias=True)
    half = layer.outputs // 2
    weight = layer.convolution.weight.detach().numpy().reshape(2 * half, -1)
    np.testing.assert_array_equal(weight[half:], -weight[:half])
    # Undoing the scale gives directions of length 1 that the covariance only stretches.
    values = 1 / (weight[:half] ** 2).sum(1) - layer.eps
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(covariance), atol=1e-8)
    assert (np.diff(values) <= 1e-9).all()
    stretched = weight[:half] @ covariance
    np.testing.assert_allclose(stretched, values[:, None] * weight[:half], atol=1e-8)


@pytest.mark.parametrize("rank", RANKS)
def test_what_comes_out_is_decorrelated(rank):
    x = smooth(rank, batch=20)
    layer = Whiten(rank, 2, 2, eps=0.0).double()
    layer.fit(x)
    inside = (slice(None), slice(layer.outputs // 2), *[slice(0, 5)] * rank)
    cells = layer(x)[inside].detach().movedim(1, 0).flatten(1).numpy()
    np.testing.assert_allclose(np.cov(cells, bias=True), np.eye(len(cells)), atol=1e-8)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("stride", [1, 2])
def test_keeps_the_laws_of_every_layer(rank, stride):
    layer = Whiten(rank, 3, 2, stride)
    layer.fit(grid(rank, batch=8).float())
    laws.all_of_them(layer, grid(rank))
    assert layer(grid(rank)).shape[1:] == (
        layer.outputs,
        *[-(-n // stride) for n in grid(rank).shape[2:]],
    )


@pytest.mark.parametrize("rank", RANKS)
def test_only_the_bias_is_trained_and_all_of_it_is_saved(rank):
    layer, other = Whiten(rank, 2, 2), Whiten(rank, 2, 2)
    layer.fit(smooth(rank).float())
    trained = [name for name, value in layer.named_parameters() if value.requires_grad]
    assert trained == ["convolution.bias"]
    other.load_state_dict(layer.state_dict())
    x = smooth(rank, seed=1).float()
    assert torch.equal(other(x), layer(x))


def test_before_fit_it_shows_single_pixels():
    x = grid(2, channels=1)
    out = Whiten(2, 1, 1).double()(x)
    torch.testing.assert_close(out, torch.cat([x, -x], 1))


@pytest.mark.parametrize("rank", RANKS)
def test_the_same_pixels_give_the_same_kernels(rank):
    x = smooth(rank).float()
    kernels = []
    for shown in (x, x.clone(), -x + 3):
        layer = Whiten(rank, 2, 2)
        layer.fit(shown)
        kernels.append(layer.convolution.weight)
        largest = layer.convolution.weight[: layer.outputs // 2].flatten(1)
        assert (largest.gather(1, largest.abs().argmax(1, keepdim=True)) > 0).all()
    assert torch.equal(kernels[0], kernels[1])
    torch.testing.assert_close(kernels[0], kernels[2], atol=1e-4, rtol=1e-4)


def test_a_draw_of_patches_stands_for_all():
    x = smooth(2, batch=200, cells=12).float()
    all_of_them, drawn = Whiten(2, 2, 2), Whiten(2, 2, 2)
    all_of_them.fit(x, limit=10**6)
    drawn.fit(x, limit=8000)
    scale = [layer.convolution.weight[:8].flatten(1).norm(dim=1) for layer in (all_of_them, drawn)]
    torch.testing.assert_close(scale[0], scale[1], rtol=0.06, atol=0)
    again = Whiten(2, 2, 2)
    again.fit(x, limit=8000)
    assert torch.equal(again.convolution.weight, drawn.convolution.weight)
    other = Whiten(2, 2, 2)
    other.fit(x, limit=8000, seed=1)
    assert not torch.equal(other.convolution.weight, drawn.convolution.weight)


def test_flat_pictures_do_not_blow_up():
    layer = Whiten(2, 1, 2)
    layer.fit(torch.ones(3, 1, 5, 5))
    assert layer.convolution.weight.abs().max() <= 1 / layer.eps**0.5


def test_says_how_to_mend():
    layer = Whiten(2, 3, 2)
    with pytest.raises(PlanError, match=r"\(4, 1, 5, 5\) does not fit 3 channels(.|\n)*Whiten.fit"):
        layer.fit(torch.zeros(4, 1, 5, 5))
    with pytest.raises(PlanError, match=r"holds no patch of \(2, 2\)(.|\n)*smaller kernel"):
        layer.fit(torch.zeros(4, 3, 5, 1))
    with pytest.raises(PlanError, match=r"holds no patch"):
        layer.fit(torch.zeros(0, 3, 5, 5))
    with pytest.raises(PlanError, match=r"NaN or infinity(.|\n)*normalised pixels"):
        layer.fit(torch.full((4, 3, 5, 5), torch.nan))
    with pytest.raises(PlanError, match=r"kernel 0 does not fit"):
        Whiten(2, 3, 0)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_fewer_outputs_keep_the_directions_of_largest_variance(rank):
    x = torch.randn(20, 2, *[6] * rank, generator=torch.Generator().manual_seed(0))
    full, some = Whiten(rank, 2, 2), Whiten(rank, 2, 2, outputs=6)
    full.fit(x)
    some.fit(x)
    half = full.outputs // 2
    kept = torch.cat([full.convolution.weight[:3], full.convolution.weight[half : half + 3]])
    torch.testing.assert_close(some.convolution.weight, kept)
    assert some(x).shape[1] == 6


@pytest.mark.parametrize("outputs", [0, 3, 18])
def test_says_how_many_outputs_there_can_be(outputs):
    with pytest.raises(PlanError, match=r"directions(.|\n)*an even number from 2 to 16"):
        Whiten(2, 2, 2, outputs=outputs)
