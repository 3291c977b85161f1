"""Seams: put back under every circular shift, with and without ties, turns and fitted scorers."""

import itertools
import math

import numpy as np
import pytest
import torch

from foveal.errors import PlanError
from foveal.layers import channels_last
from foveal.layers.seam import Seam, irregular, rolled
from foveal.layers.symmetry import symmetry_of
from strategies import grid
from turns import NAMED

RANKS = [1, 2, 3]
SIZES = {1: (13,), 2: (8, 7), 3: (4, 3, 5)}


def shifts(size):
    return itertools.product(*[range(n) for n in size])


def axes_of(x):
    return tuple(range(2, x.ndim))


def scenes(count, size, seed=0):
    """Smooth fields that do not close around the grid: their seams can be seen."""
    made = torch.Generator().manual_seed(seed)
    total = torch.zeros(count, 3, *size)
    places = torch.meshgrid(*[torch.linspace(0, 1, n) for n in size], indexing="ij")
    for _ in range(4):
        wave = torch.zeros(count, 3, *size)
        for place in places:
            wave = wave + place * 4 * torch.randn(count, 3, *[1] * len(size), generator=made)
        phase = math.tau * torch.rand(count, 3, *[1] * len(size), generator=made)
        total = total + torch.sin(wave + phase)
    return total + 0.05 * torch.randn(total.shape, generator=made)


def patterns(kind, count, size):
    """Samples whose places tie, or nearly do."""
    made = torch.Generator().manual_seed(3)
    noise = torch.randn(count, 1, *size, generator=made)
    if kind == "binary":
        return (noise > 0).float()
    if kind == "levels":
        return noise.mul(2).round().clamp(-2, 2)
    if kind == "dot":  # one cell of another value: nearly every place is as even as the next
        noise = torch.zeros_like(noise)
        noise[(slice(None), 0, *[1] * len(size))] = 1
        return noise
    if kind == "stripes":  # alike under a shift by two cells
        return torch.arange(size[-1]).remainder(2).float().expand_as(noise).clone()
    return torch.full_like(noise, 0.3)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_circular_shift_of_the_input_leaves_the_output_as_it_is(rank, dtype, fitted):
    layer, x = Seam(rank), grid(rank, batch=4, cells=5).to(dtype)
    if fitted:
        layer.fit(scenes(40, (5,) * rank))
    want, _ = layer(x)
    for mode in (True, False):
        layer.train(mode)
        for shift in shifts(x.shape[2:]):
            assert torch.equal(layer(x.roll(shift, axes_of(x)))[0], want), shift


@pytest.mark.parametrize("kind", ["binary", "levels", "dot", "stripes", "constant"])
@pytest.mark.parametrize("rank", RANKS)
def test_ties_are_broken_by_what_moves_along(kind, rank):
    size = tuple(n + n % 2 for n in SIZES[rank])  # stripes must close around the grid
    x = patterns(kind, 50, size)
    for layer in (Seam(rank), Seam(rank)):
        want, _ = layer(x)
        for shift in shifts(size):
            assert torch.equal(layer(x.roll(shift, axes_of(x)))[0], want), shift
        layer.fit(scenes(40, size))


@pytest.mark.parametrize("name", [n for n in NAMED if not n.endswith("none")])
def test_the_choice_turns_with_the_sample(name):
    symmetry = NAMED[name]
    size = {1: (7,), 2: (6, 6), 3: (4, 4, 4)}[symmetry.rank]
    layer = Seam(symmetry.rank, symmetry=symmetry)
    for kind in ("fresh", "fitted"):
        if kind == "fitted":
            layer.fit(scenes(30, size))
        x = scenes(5, size, seed=1)
        x = x.roll([1] * symmetry.rank, axes_of(x))
        want, _ = layer(x)
        for number in range(len(symmetry)):
            assert torch.equal(layer(symmetry.move(number, x))[0], symmetry.move(number, want))


def test_without_the_symmetry_a_turned_sample_may_be_cut_elsewhere():
    """Planted: what the symmetric choice is for. Ties of a mirrored sample are told apart."""
    x = patterns("binary", 200, (6, 6))
    layer = Seam(2)
    assert not torch.equal(layer(x.flip(3))[0], layer(x)[0].flip(3))


@pytest.mark.parametrize("rank", [1, 2])
def test_fitting_finds_the_border_that_was_lost(rank):
    size = {1: (48,), 2: (24, 20)}[rank]
    layer = Seam(rank)
    fresh = scenes(400, size, seed=9)
    before = (layer.choose(fresh) == 0).all(1).float().mean()
    layer.fit(scenes(1500, size, seed=8))
    after = (layer.choose(fresh) == 0).all(1).float().mean()
    assert after >= 0.9
    assert after >= before
    moved = fresh.roll([5] * rank, axes_of(fresh))
    found = (layer(moved)[0] == fresh).flatten(1).all(1).float().mean()
    assert found == after


def test_fitting_again_gives_the_same_and_leaves_chance_alone():
    x = scenes(60, (9, 8))
    state = torch.random.get_rng_state()
    one, two, other = Seam(2), Seam(2), Seam(2)
    one.fit(x)
    two.fit(x)
    other.fit(x, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.first, other.first)
    assert not list(one.parameters())  # nothing that training would move


def test_an_unfitted_seam_is_the_widest_tear():
    """Against the plain definition, in numpy, one place at a time."""
    x = scenes(20, (9, 7), seed=2)
    x = x.roll((4, 3), (2, 3))
    found = Seam(2).choose(x)
    for sample, start in zip(x.numpy().astype(np.float64), found.tolist(), strict=True):
        for axis in (0, 1):
            n = sample.shape[1 + axis]
            tears = []
            for place in range(n):
                here = sample.take(place, 1 + axis)
                before = sample.take(place - 1, 1 + axis)
                tears.append(np.abs(here - before).sum())
            assert start[axis] == int(np.argmax(tears))


def test_a_thing_on_an_even_background_comes_out_at_one_place():
    made = torch.Generator().manual_seed(0)
    things = torch.rand(30, 1, 3, 4, generator=made) + 0.5
    layer = Seam(2)

    def at(y, x):
        sample = torch.zeros(30, 1, 12, 12)
        sample[:, :, y : y + 3, x : x + 4] = things
        return layer(sample)[0]

    want = at(0, 0)
    for y, x in itertools.product(range(10), range(9)):  # inside the frame: nothing wraps
        assert torch.equal(at(y, x), want)


@pytest.mark.parametrize("rank", RANKS)
def test_rolling_back_undoes_rolling_and_keeps_the_memory(rank):
    x = channels_last(grid(rank, batch=4, cells=5))
    start = torch.randint(0, 5, (4, rank), generator=torch.Generator().manual_seed(0))
    out = rolled(x, start)
    for sample, moved, by in zip(x, out, start, strict=True):
        steps = [-int(n) for n in by]
        assert torch.equal(moved, sample.roll(steps, tuple(range(1, 1 + rank))))
    assert out.stride(1) == 1
    assert torch.equal(rolled(out, start, back=True), x)


def test_gradients_go_back_to_where_cells_were():
    x = scenes(3, (5, 6)).double().requires_grad_()
    layer = Seam(2)
    weight = torch.randn(3, 3, 5, 6, dtype=torch.float64)
    (layer(x)[0] * weight).sum().backward()
    start = layer.choose(x)
    assert torch.equal(x.grad, rolled(weight, start, back=True))


def test_a_traced_seam_gives_the_same():
    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.seam = Seam(2)

        def forward(self, x):
            return self.seam(x)[0]

    x = scenes(4, (6, 5))
    program = torch.export.export(
        Whole().eval(), (x,), dynamic_shapes={"x": {0: torch.export.Dim("b")}}
    )
    more = scenes(7, (6, 5), seed=4)
    assert torch.equal(program.module()(more), Whole()(more))


def test_mixed_precision_changes_no_choice():
    layer = Seam(2)
    x = scenes(40, (9, 8))
    layer.fit(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.choose(x)
    assert torch.equal(found, layer.choose(x))


def test_irregular_numbers_repeat_nowhere():
    numbers = irregular(512)
    assert len(numbers.unique()) == 512
    assert numbers.abs().max() <= 0.5


def test_a_symmetry_of_another_rank_is_refused():
    with pytest.raises(PlanError, match="of rank 3 does not turn a grid of rank 2"):
        Seam(2, symmetry=symmetry_of(3, "full"))
    with pytest.raises(PlanError):
        Seam(2)(torch.zeros(2, 3, 4))
