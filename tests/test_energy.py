"""The energy of a window: the definition, its gradient, laws, and what it is good for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from foveal.layers.energy import LEAST, half_square, root
from foveal.layers.memory import channels_last
from foveal.networks.down import Down
from strategies import few, grid, grids

RANKS = [1, 2, 3]
SHIFTS = ["plain", "blur"]


def energy(x, shift="plain", stride=2):
    rank = x.ndim - 2
    return Down(rank, "energy", (stride,) * rank, shift=shift)(x)[0]


@few
@given(grids(), st.integers(1, 3))
def test_equals_the_definition(x, stride):
    # The mean of windows, and the blur, are compared with slow loops where they are tested.
    square = np.maximum(x.numpy(), 0) ** 2
    want = np.sqrt(reference.blur(square, (stride,) * (x.ndim - 2)) + LEAST)
    if stride > 1:
        np.testing.assert_allclose(energy(x, "blur", stride).numpy(), want, atol=1e-10)
    apart = reference.pool(square, (stride,) * (x.ndim - 2), (stride,) * (x.ndim - 2), np.mean)
    np.testing.assert_allclose(
        energy(x, "plain", stride).numpy(), np.sqrt(apart + LEAST), atol=1e-10
    )


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("rank", RANKS)
def test_has_the_right_gradient(rank, shift):
    x = channels_last(grid(rank, cells=5, batch=1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: energy(v, shift), x)


def test_trained_and_asked_alike():
    x = grid(2).requires_grad_()
    with torch.no_grad():
        asked = root(half_square(x))
    torch.testing.assert_close(root(half_square(x)).detach(), asked)
    assert not half_square(x.detach()).requires_grad


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("rank", RANKS)
def test_a_constant_stays_and_what_is_negative_is_nothing(rank, shift):
    x = torch.full((1, 2, *(6,) * rank), 3.0, dtype=torch.float64)
    torch.testing.assert_close(energy(x, shift), torch.full_like(energy(x, shift), 3.0))
    assert (energy(-x, shift) - LEAST**0.5).abs().max() < 1e-12


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("rank", RANKS)
def test_lies_between_the_mean_and_the_maximum(rank, shift):
    x = grid(rank, cells=8).abs()
    average = Down(rank, "average", (2,) * rank, shift=shift)(x)[0]
    largest = Down(rank, "max", (2,) * rank)(x)[0] if shift == "plain" else x.max()
    found = energy(x, shift)
    assert (found >= average - 1e-9).all()
    assert (found <= largest + 1e-3).all()


@pytest.mark.parametrize("rank", RANKS)
def test_twice_as_strong_gives_twice_as_much(rank):
    x = 100 * grid(rank, cells=8).abs() + 1
    torch.testing.assert_close(energy(2 * x, "blur"), 2 * energy(x, "blur"), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("rank", RANKS)
def test_jumps_less_than_a_maximum_when_the_input_moves(rank):
    x, axes = grid(rank, cells=16, batch=1), tuple(range(2, 2 + rank))
    moved = x.roll([1] * rank, axes)

    def jump(layer):
        here, there = layer(x)[0], layer(moved)[0]
        return ((here - there).norm() / here.norm()).item()

    smooth = Down(rank, "energy", (2,) * rank, shift="blur")
    assert jump(smooth) < 0.7 * jump(Down(rank, "max", (2,) * rank))


def test_nothing_positive_has_a_slope_with_an_end():
    x = torch.zeros(1, 1, 4, requires_grad=True)
    energy(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))
