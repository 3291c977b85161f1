"""Shift: the definition, laws, any axis of any grid, messages."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import Shift, channels_last
from strategies import few, grid, grids

RANKS = [1, 2, 3]
EVERY_AXIS = [(rank, axis) for rank in RANKS for axis in range(rank)]


@few
@given(grids(channels=9), st.data())
def test_equals_the_definition(x, data):
    rank = x.ndim - 2
    axis, share = data.draw(st.integers(0, rank - 1)), data.draw(st.integers(2, 9))
    layer = Shift(rank, 9, axis, share).double()
    np.testing.assert_array_equal(layer(x).numpy(), reference.shift(x.numpy(), axis, layer.each))


@pytest.mark.parametrize(("rank", "axis"), EVERY_AXIS)
def test_keeps_the_laws_of_every_layer(rank, axis):
    laws.all_of_them(Shift(rank, 8, axis), grid(rank, channels=8))


@pytest.mark.parametrize(("rank", "axis"), EVERY_AXIS)
def test_does_not_care_where_its_axis_stands(rank, axis):
    x = grid(rank, channels=8)
    turned = x.movedim(2 + axis, 2)
    same = Shift(rank, 8, 0).double()(turned).movedim(2, 2 + axis)
    assert torch.equal(Shift(rank, 8, axis).double()(x), same)


@pytest.mark.parametrize(("channels", "each"), [(1, 0), (2, 0), (3, 1), (8, 1), (16, 2), (64, 8)])
def test_an_eighth_of_the_channels_goes_each_way_but_some_always_stay(channels, each):
    layer = Shift(1, channels, 0)
    assert layer.each == each
    x = torch.arange(1.0, 6).expand(1, channels, 5)
    moved = layer(x)[0]
    assert (moved[:each] == torch.tensor([0.0, 1, 2, 3, 4])).all()
    assert (moved[each : 2 * each] == torch.tensor([2.0, 3, 4, 5, 0])).all()
    assert (moved[2 * each :] == x[0, 2 * each :]).all()
    assert 2 * each < channels


def test_running_backwards_swaps_the_two_ways():
    x, layer = grid(2, channels=8), Shift(2, 8, 0).double()
    back = layer(x.flip(2)).flip(2)
    assert torch.equal(back[:, 0], layer(x[:, [1, 0, *range(2, 8)]])[:, 1])
    assert not torch.equal(back[:, :2], layer(x)[:, :2])


def test_it_holds_nothing_that_is_trained_or_saved():
    layer = Shift(3, 16, 0)
    assert not list(layer.parameters())
    assert not layer.state_dict()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_arrive_unrounded_and_lie_channels_last_in_memory(dtype):
    x = channels_last(torch.randn(2, 8, 4, 5, 6)).to(dtype)
    out = Shift(3, 8, 0)(x)
    assert out.dtype == dtype
    assert out.stride() == x.stride()
    assert torch.equal(out[:, 0, 1:], x[:, 0, :-1])


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Shift(2, 8, 2), r"axis 2 is none of the 2(.|\n)*Shift(.|\n)*from 0 to 1"),
        (lambda: Shift(2, 8, -1), r"axis -1 is none of the 2"),
        (lambda: Shift(4, 8, 0), r"rank is 4(.|\n)*where: Shift"),
        (lambda: Shift(2, 0, 0), r"channels is 0"),
        (lambda: Shift(2, 8, 0, 0), r"share is 0"),
        (lambda: Shift(2, 8, 0)(torch.zeros(1, 7, 3, 3)), r"does not fit 8 channels, rank 2"),
    ],
)
def test_says_how_to_mend(made, message):
    with pytest.raises(PlanError, match=message):
        made()
