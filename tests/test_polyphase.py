"""Polyphase sampling: the definition, circular shifts with and without ties, the way back."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import laws
from foveal.errors import PlanError
from foveal.layers import BlurDown, MaxPool, channels_last
from foveal.layers.polyphase import Polyphase
from foveal.layers.symmetry import symmetry_of
from strategies import few, grid, per_axis
from turns import error, fields

RANKS = [1, 2, 3]
CELLS = {1: 12, 2: 8, 3: 4}


def starts(x, stride):
    """Every coarse grid of a numpy array, in the order in which starts are counted."""
    return [
        x[(slice(None), slice(None), *[slice(o, None, s) for o, s in zip(at, stride, strict=True)])]
        for at in itertools.product(*[range(s) for s in stride])
    ]


def shifts(x):
    return itertools.product(*[range(n) for n in x.shape[2:]])


def rolled(x, shift):
    return x.roll(shift, tuple(range(2, x.ndim)))


def same_up_to_a_shift(found, expected):
    """Whether each sample of one is a circular shift of that of the other."""
    match = torch.zeros(len(found), dtype=torch.bool)
    for shift in shifts(found):
        apart = (rolled(found, shift) - expected).flatten(1).abs().amax(1)
        match |= apart <= 1e-5 * expected.abs().max()
    return match


@few
@given(st.integers(1, 3), st.data())
def test_keeps_the_strongest_coarse_grid(rank, data):
    stride, count = data.draw(per_axis(rank, 1, 3)), data.draw(per_axis(rank, 1, 3))
    made = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    size = [s * t for s, t in zip(stride, count, strict=True)]
    x = torch.randn(3, 2, *size, generator=made, dtype=torch.float64)
    layer = Polyphase(rank, 2, stride)
    found, start = layer(x), layer.choose(x)
    for b in range(3):
        grids = [g[b] for g in starts(x.numpy(), stride)]
        best = int(np.argmax([(g**2).sum() for g in grids]))
        assert start[b] == best
        assert np.array_equal(found[b].numpy(), grids[best])


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_circular_shift_of_the_input_only_shifts_the_output(rank, dtype):
    x = grid(rank, batch=4, cells=CELLS[rank]).to(dtype)
    layer = Polyphase(rank, 3, 2)
    for shift in shifts(x):
        assert same_up_to_a_shift(layer(rolled(x, shift)), layer(x)).all(), shift


@pytest.mark.parametrize("rank", RANKS)
def test_other_ways_to_halve_the_grid_do_not_keep_it(rank):
    x = grid(rank, batch=4, cells=CELLS[rank])
    for layer in (MaxPool(rank, 2), BlurDown(rank, 2)):
        assert not same_up_to_a_shift(layer(rolled(x, [1] * rank)), layer(x)).any()


def patterns(kind, count, cells, rank):
    """Pictures whose coarse grids tie, or nearly do."""
    made = torch.Generator().manual_seed(3)
    noise = torch.randn(count, 1, *[cells] * rank, generator=made)
    if kind == "binary":
        return (noise > 0).float()
    if kind == "levels":
        return noise.mul(2).round().clamp(-2, 2)
    if kind == "permuted":  # the same values on every coarse grid, in another order
        for at in itertools.product(range(2), repeat=rank):
            here = (slice(None), slice(None), *[slice(o, None, 2) for o in at])
            cells_ = noise[(slice(None), slice(None), *[slice(0, None, 2)] * rank)].flatten(2)
            order = torch.randperm(cells_.shape[2], generator=made)
            noise[here] = cells_[..., order].view(noise[here].shape)
        return noise
    return torch.full_like(noise, 0.3)


@pytest.mark.parametrize("kind", ["binary", "levels", "permuted", "constant"])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ties_are_broken_by_what_moves_along(kind, rank, dtype):
    x = patterns(kind, 100, CELLS[rank], rank).to(dtype)
    layer = Polyphase(rank, 1, 2)
    expected = layer(x)
    for shift in itertools.product(range(2), repeat=rank):
        assert same_up_to_a_shift(layer(rolled(x, shift)), expected).all()
    further = [CELLS[rank] - 1] * rank
    assert same_up_to_a_shift(layer(rolled(x, further)), expected).all()


@pytest.mark.parametrize("kind", ["binary", "permuted"])
def test_without_the_second_number_ties_are_broken_by_place(kind):
    """What the layer is protected from: the first of equals is another one after a shift."""
    x = patterns(kind, 100, 8, 2)

    def first(x):
        grids = torch.tensor(np.stack(starts(x.numpy(), (2, 2)), 1))
        return grids[torch.arange(len(x)), grids.square().sum((2, 3, 4)).argmax(1)]

    assert not same_up_to_a_shift(first(rolled(x, (1, 0))), first(x)).all()


@pytest.mark.parametrize("rank", RANKS)
def test_the_choice_turns_with_fields(rank):
    symmetry = symmetry_of(rank, "full")
    layer = Polyphase(rank, 2 * len(symmetry), 2, symmetry=symmetry)
    for x in (fields(symmetry, 2, [4] * rank), tied_fields(symmetry, [4] * rank)):
        for number in range(len(symmetry)):
            turned = layer(symmetry.move_fields(number, x))
            assert error(turned, symmetry.move_fields(number, layer(x))) <= 1e-12


def tied_fields(symmetry, size):
    """Fields whose coarse grids hold the same values in another order: sums of squares tie."""
    x = fields(symmetry, 2, size)
    cells = [x[(slice(None), slice(None), *[slice(0, None, 2)] * symmetry.rank)].flatten(1)]
    for at in itertools.product(range(2), repeat=symmetry.rank):
        here = (slice(None), slice(None), *[slice(o, None, 2) for o in at])
        order = torch.randperm(cells[0].shape[1], generator=torch.Generator().manual_seed(sum(at)))
        x[here] = cells[0][:, order].view(x[here].shape)
    return x


def test_a_choice_for_plain_channels_does_not_turn_with_tied_fields():
    """Planted: without ``symmetry`` the second number mistakes a turned tie for another."""
    symmetry = symmetry_of(2, "full")
    layer, x = Polyphase(2, 16, 2), tied_fields(symmetry, (4, 4))
    worst = max(
        error(layer(symmetry.move_fields(u, x)), symmetry.move_fields(u, layer(x)))
        for u in range(8)
    )
    assert worst > 1e-2


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("last", [True, False])
def test_put_is_the_way_back(rank, last):
    x = grid(rank, cells=CELLS[rank])
    x = channels_last(x) if last else x
    layer = Polyphase(rank, 3, 2)
    start = layer.choose(x)
    back = layer.put(layer(x), start)
    assert back.shape == x.shape
    kept = back != 0
    assert torch.equal(back[kept], x[kept])
    assert kept.sum() * 2**rank == x.numel()
    assert torch.equal(layer.take(back, start), layer(x))
    y = torch.randn_like(layer(x))
    torch.testing.assert_close((layer(x) * y).sum(), (x * layer.put(y, start)).sum())


@pytest.mark.parametrize("rank", RANKS)
def test_there_and_back_moves_with_the_input(rank):
    x, layer = grid(rank, cells=CELLS[rank]), Polyphase(rank, 3, 2)

    def there_and_back(x):
        start = layer.choose(x)
        return layer.put(layer.take(x, start), start)

    for shift in shifts(x):
        assert torch.equal(there_and_back(rolled(x, shift)), rolled(there_and_back(x), shift))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("stride", [1, 2])
def test_keeps_the_laws_of_every_layer(rank, stride):
    laws.all_of_them(Polyphase(rank, 3, stride), grid(rank, cells=4))


def test_axes_may_differ():
    layer = Polyphase(3, 2, (1, 2, 3))
    x = grid(3, channels=2)[..., :4, :3]
    assert layer(x).shape == (2, 2, 7, 2, 1)
    assert torch.equal(Polyphase(1, 3, 1)(grid(1)), grid(1))


@pytest.mark.parametrize("rank", RANKS)
def test_channels_last_memory_stays_so(rank):
    x = channels_last(grid(rank, channels=8, cells=4))
    out = Polyphase(rank, 8, 2)(x)
    assert out.stride(1) == 1
    assert channels_last(out).data_ptr() == out.data_ptr()


def test_faint_and_empty_pictures_are_sampled_too():
    x = patterns("binary", 50, 8, 2)
    layer = Polyphase(2, 1, 2)
    start = layer.choose(x)
    assert torch.equal(layer.choose(x * 1e-12), start)
    assert torch.equal(layer.choose(x * 1e12), start)
    assert layer(torch.zeros(2, 1, 4, 4)).abs().sum() == 0
    assert layer(torch.zeros(0, 1, 4, 4)).shape == (0, 1, 2, 2)


def test_nothing_is_trained_or_saved():
    layer = Polyphase(2, 3, 2)
    assert not list(layer.parameters())
    assert not layer.state_dict()
    assert torch.equal(layer.mix, Polyphase(2, 3, 2).mix)
    assert repr(layer) == "Polyphase(2, 3, stride=(2, 2))"


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"stride of \(2, 2\) does not divide .*\(4, 5\)") as caught:
        Polyphase(2, 1, 2)(torch.zeros(1, 1, 4, 5))
    assert "multiple of all strides together" in caught.value.mend
    with pytest.raises(PlanError, match=r"12 channels of rank 2 are no fields of .*8 turns"):
        Polyphase(2, 12, 2, symmetry=symmetry_of(2, "full"))
    with pytest.raises(PlanError, match=r"16 channels of rank 1(.|\n)*symmetry of that rank"):
        Polyphase(1, 16, 2, symmetry=symmetry_of(2, "full"))
    with pytest.raises(PlanError, match=r"stride \(2, 0\).*rank 2"):
        Polyphase(2, 3, (2, 0))
    with pytest.raises(PlanError, match=r"channels is 0"):
        Polyphase(2, 0, 2)
    with pytest.raises(PlanError, match=r"\(1, 3, 8\) does not fit 3 channels, rank 2"):
        Polyphase(2, 3, 2)(torch.zeros(1, 3, 8))
    with pytest.raises(PlanError, match=r"Polyphase.put"):
        Polyphase(2, 3, 2).put(torch.zeros(1, 3, 8), torch.zeros(1, dtype=torch.long))
