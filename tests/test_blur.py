"""BlurDown and MaxBlurPool: the definition, laws, and what the blur is good for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import BlurDown, MaxBlurPool, MaxPool
from foveal.layers.around import around
from foveal.layers.blur import _blurred, binomial, blurred
from foveal.layers.memory import channels_last
from strategies import few, grid, grids, per_axis

RANKS = [1, 2, 3]


@few
@given(grids(), st.data())
def test_equals_the_definition(x, data):
    stride = data.draw(per_axis(x.ndim - 2, 1, 3))
    out = BlurDown(x.ndim - 2, stride)(x)
    np.testing.assert_allclose(out.numpy(), reference.blur(x.numpy(), stride), atol=1e-10)


@few
@given(grids(), st.integers(1, 3), st.floats(-5, 5))
def test_keeps_a_constant(x, stride, value):
    out = BlurDown(x.ndim - 2, stride)(torch.full_like(x, value))
    torch.testing.assert_close(out, torch.full_like(out, value))


@few
@given(grids(), st.data())
def test_does_not_care_how_axes_are_ordered(x, data):
    rank = x.ndim - 2
    stride = data.draw(per_axis(rank, 1, 3))
    order = data.draw(st.permutations(range(rank)))
    turn = (0, 1, *[2 + i for i in order])
    turned = BlurDown(rank, [stride[i] for i in order])(x.permute(turn))
    torch.testing.assert_close(turned, BlurDown(rank, stride)(x).permute(turn))


@pytest.mark.parametrize("rank", RANKS)
def test_mirrors_exactly_when_the_last_cell_is_kept(rank):
    # Cells 0, s, 2s, ... survive, so a mirror image is kept only if (size - 1) % s == 0.
    blur, axes = BlurDown(rank, 2), tuple(range(2, 2 + rank))
    odd, even = grid(rank, cells=7), grid(rank, cells=8)
    torch.testing.assert_close(blur(odd.flip(axes)), blur(odd).flip(axes))
    assert not torch.allclose(blur(even.flip(axes)), blur(even).flip(axes))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("make", [lambda r: BlurDown(r, 2), lambda r: MaxBlurPool(r, 3, 2)])
def test_keeps_the_laws_of_every_layer(rank, make):
    laws.all_of_them(make(rank), grid(rank))


@pytest.mark.parametrize("rank", RANKS)
def test_max_blur_is_a_dense_max_then_a_blur(rank):
    x = grid(rank)
    maxima = reference.pool(x.numpy(), (3,) * rank, (1,) * rank, np.max)
    expected = reference.blur(maxima, (2,) * rank)
    np.testing.assert_allclose(MaxBlurPool(rank, 3, 2)(x).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("rank", RANKS)
def test_jumps_less_than_a_bare_stride_when_the_input_moves(rank):
    x, axes = grid(rank, cells=16, batch=1), tuple(range(2, 2 + rank))
    moved = x.roll([1] * rank, axes)

    def jump(layer):
        here, there = layer(x), layer(moved)
        return ((here - there).norm() / here.norm()).item()

    assert jump(MaxBlurPool(rank, 2, 2)) < 0.7 * jump(MaxPool(rank, 2, 2))


def test_stride_one_leaves_the_input_alone():
    x = grid(2)
    assert BlurDown(2, 1)(x) is x


def test_the_kernel_is_neither_trained_nor_saved():
    blur = BlurDown(2, 2)
    assert not list(blur.parameters())
    assert not blur.state_dict()
    assert blur.weight.sum() == 1
    assert repr(blur) == "BlurDown(2, stride=(2, 2))"


def test_says_how_to_mend_a_wrong_stride():
    with pytest.raises(PlanError, match=r"stride \(2, 0\).*rank 2(.|\n)*mend: .*one whole number"):
        BlurDown(2, (2, 0))
    with pytest.raises(PlanError, match=r"\(1, 3, 8\) does not fit 3 channels, rank 2"):
        BlurDown(2, 2)(torch.zeros(1, 3, 8))


@pytest.mark.parametrize("small", [0, 128])
@pytest.mark.parametrize("border", ["replicate", "circular"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (5, 3), (3, 1)])
def test_the_gradient_of_a_blur_is_that_of_the_native_convolution(
    rank, kernel, stride, last, border, small, monkeypatch
):
    # By a product with a matrix up to so many cells, by sums of slices above.
    monkeypatch.setattr("foveal.layers.blur.SMALL", small)
    torch.manual_seed(0)
    x = torch.randn(2, 3, *(9, 8, 7)[:rank], dtype=torch.float64)
    x = (channels_last(x) if last else x).requires_grad_()
    weight, ends = binomial((kernel,) * rank).double(), ((1, 2),) * rank
    found = blurred(x, weight, (stride,) * rank, ends, border)
    want = _blurred(around(x, ends, border), weight, (stride,) * rank)
    slope = torch.randn_like(want)
    (ours,) = torch.autograd.grad(found, x, slope)
    (theirs,) = torch.autograd.grad(want, x, slope)
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(ours, theirs)
    assert not small or (found.stride(1) == 1) == last


def test_a_matrix_first_asked_for_in_an_answer_serves_training():
    x = torch.randn(2, 3, 13, 11)
    with torch.inference_mode():
        asked = BlurDown(2, 2)(x)
    trained = BlurDown(2, 2)(x.requires_grad_())
    trained.sum().backward()
    assert torch.equal(asked, trained.detach())


def test_an_exported_blur_takes_any_size():
    size = torch.export.Dim("size", min=4, max=400)
    program = torch.export.export(
        BlurDown(1, 2), (torch.randn(2, 3, 20),), dynamic_shapes={"x": {2: 2 * size}}
    )
    x = torch.randn(2, 3, 300)
    torch.testing.assert_close(program.module()(x), BlurDown(1, 2)(x))
