"""augment: laws that hold for any rank, against numpy where numpy can say it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.datasets.augment import augment, cut_out, mirror, recolour, translate
from foveal.plan import AugmentPart

GRIDS = [(9,), (6, 7), (4, 5, 6)]
NOTHING = AugmentPart((0,), (False,), False, 0, 0.0, 0.0)


def part_for(grid, **changes):
    blank = replace(NOTHING, translate=(0,) * len(grid), flip=(False,) * len(grid))
    return replace(blank, **changes)


def batch(grid, count=16, channels=3, dtype=torch.uint8, seed=0):
    """A batch as a store gives it: ``(B, C, *S)``, channels-last in memory."""
    chance = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (count, *grid, channels), generator=chance)
    return x.to(dtype).movedim(-1, 1)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_asked_for_nothing_it_changes_nothing(grid, dtype):
    x = batch(grid, dtype=dtype)
    assert augment(x, part_for(grid), generator=chance()) is x


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_keeps_shape_dtype_and_memory(grid, dtype, channels):
    x = batch(grid, dtype=dtype, channels=channels)
    part = AugmentPart((2,) * len(grid), (True,) * len(grid), False, 3, 0.2, 0.2)
    before = x.clone()
    out = augment(x, part, generator=chance())
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert out.movedim(1, -1).is_contiguous()
    assert torch.equal(x, before), "the input is left alone"


@pytest.mark.parametrize("grid", GRIDS)
def test_a_shift_is_a_roll_inside_the_border_and_a_reflection_at_it(grid):
    x = batch(grid, count=30)
    reach = [2] * len(grid)
    starts = torch.randint(0, 5, (30, len(grid)), generator=chance())
    out = translate(x, reach, starts).numpy()
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), *[(2, 2)] * len(grid)], mode="reflect")
    for i, at in enumerate(starts.tolist()):
        window = tuple(slice(a, a + n) for a, n in zip(at, grid, strict=True))
        np.testing.assert_array_equal(out[i], padded[(i, slice(None), *window)])
        axes = tuple(range(1, 1 + len(grid)))
        rolled = np.roll(x[i].numpy(), [2 - a for a in at], axes)
        inside = tuple(slice(2, n - 2) for n in grid)
        np.testing.assert_array_equal(out[i][:, *inside], rolled[:, *inside])


def test_one_axis_may_shift_alone():
    rows = torch.arange(6.0).view(6, 1).expand(16, 3, 6, 7)
    part = part_for((6, 7), translate=(0, 2))
    assert torch.equal(augment(rows, part, generator=chance()), rows)
    x = batch((6, 7))
    assert not torch.equal(augment(x, part, generator=chance()), x)


def test_every_shift_comes_about():
    x = torch.arange(9.0).view(1, 1, 9).expand(500, 1, 9)
    out = augment(x, part_for((9,), translate=(2,)), generator=chance())
    assert {int(v) for v in out[:, 0, 4]} == {2, 3, 4, 5, 6}


def test_a_shift_wider_than_the_grid_is_held_back():
    x = batch((2, 9))
    assert augment(x, part_for((2, 9), translate=(4, 4)), generator=chance()).shape == x.shape


@pytest.mark.parametrize("grid", GRIDS)
def test_two_mirrors_are_none(grid):
    x, coins = batch(grid), torch.arange(16) % 2
    for axis in range(len(grid)):
        once = mirror(x, axis, coins)
        assert torch.equal(once[1::2], x[1::2].flip(2 + axis))
        assert torch.equal(once[::2], x[::2])
        assert torch.equal(mirror(once, axis, coins), x)


def test_only_the_axes_of_the_plan_are_mirrored():
    x = batch((6, 7), count=64)
    out = augment(x, part_for((6, 7), flip=(False, True)), generator=chance())
    turned = [torch.equal(o, v.flip(2)) for o, v in zip(out, x, strict=True)]
    same = [torch.equal(o, v) for o, v in zip(out, x, strict=True)]
    assert all(t or s for t, s in zip(turned, same, strict=True))
    assert 16 < sum(turned) < 48


def test_alternate_mirrors_turn_over_every_epoch():
    x, part = batch((6, 7), count=200), part_for((6, 7), flip=(False, True), alternate=True)
    index = torch.arange(200)
    epochs = [augment(x, part, generator=chance(e), epoch=e, index=index) for e in range(3)]
    assert torch.equal(epochs[0], epochs[2])
    assert torch.equal(epochs[0], epochs[1].flip(3))
    turned = (epochs[0] != x).flatten(1).any(1)
    assert 60 < turned.sum() < 140
    order = torch.randperm(200, generator=chance())
    mixed = augment(x[order], part, generator=chance(9), epoch=0, index=index[order])
    assert torch.equal(mixed, epochs[0][order]), "the coin belongs to the sample, not its place"


@pytest.mark.parametrize("grid", GRIDS)
def test_one_box_of_the_mean_is_cut_out(grid):
    x = batch(grid, dtype=torch.float32) + 1000  # no value can be the mean by accident
    out = cut_out(x, 3, chance())
    mean = x.movedim(1, -1).flatten(0, -2).mean(0)
    changed = (out != x).any(1)
    assert changed.flatten(1).sum(1).tolist() == [3 ** len(grid)] * 16
    for i in range(16):
        torch.testing.assert_close(out[i][:, changed[i]], mean[:, None].expand(3, 3 ** len(grid)))
        where = changed[i].nonzero()
        assert (where.amax(0) - where.amin(0)).tolist() == [2] * len(grid)


def test_a_box_larger_than_an_axis_takes_all_of_it():
    x = batch((2, 9), dtype=torch.float32) + 1000
    assert ((cut_out(x, 4, chance()) != x).any(1).flatten(1).sum(1) == 8).all()


def test_colour_follows_its_formula():
    x = batch((6, 7), dtype=torch.float32)
    b, c = torch.linspace(-0.2, 0.2, 16), torch.linspace(0.8, 1.2, 16)
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3), correction=0)
    side = (slice(None), None, None, None)
    wanted = (
        (x - mean[:, None, None]) * c[side] + mean[:, None, None] + b[side] * std[:, None, None]
    )
    torch.testing.assert_close(recolour(x, b, c), wanted, rtol=1e-4, atol=1e-3)


def test_whole_numbers_are_rounded_and_held_in_range():
    x = batch((6, 7))
    exact = recolour(x.float(), torch.full((16,), 0.5), torch.full((16,), 2.0))
    got = recolour(x, torch.full((16,), 0.5), torch.full((16,), 2.0))
    assert torch.equal(got.float(), exact.round().clamp(0, 255))
    assert (got == 0).any()
    assert (got == 255).any()


def test_large_batches_are_worked_in_parts_with_one_result():
    x = batch((32, 32), count=200)
    b, c = torch.zeros(200), torch.full((200,), 1.1)
    whole = recolour(x, b, c)
    alone = torch.cat([recolour(x, b, c)[i : i + 1] for i in (0, 77, 199)])
    assert torch.equal(whole[[0, 77, 199]], alone)
    assert not torch.equal(whole, x)


def test_all_chance_comes_from_the_generator():
    x = batch((6, 7))
    part = AugmentPart((2, 2), (True, True), False, 2, 0.2, 0.2)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, again, other = (augment(x, part, generator=chance(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"


@pytest.mark.parametrize("grid", GRIDS)
def test_cells_first_memory_gives_the_same(grid):
    x = batch(grid)
    part = AugmentPart((1,) * len(grid), (True,) * len(grid), False, 2, 0.1, 0.1)
    first, other = (augment(v, part, generator=chance()) for v in (x, x.contiguous()))
    assert torch.equal(first, other)


def test_an_empty_batch_stays_empty():
    part = AugmentPart((1, 1), (True, True), False, 2, 0.1, 0.1)
    assert augment(batch((6, 7), count=0), part, generator=chance()).shape == (0, 3, 6, 7)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_zoom_shows_a_frame_of_the_sample_larger_or_smaller(grid):
    """A ramp stays a ramp: its slope tells the zoom, and all slopes lie within the share."""
    ramp = torch.arange(grid[0], dtype=torch.float32).view(1, 1, -1, *[1] * (len(grid) - 1))
    x = ramp.expand(64, 2, *grid).clone()
    found = augment(x, part_for(grid, zoom=0.25), generator=chance())
    middle = found[(slice(None), 0, slice(None), *[n // 2 for n in grid[1:]])]
    steps = (middle[:, 1:] - middle[:, :-1]).median(1).values
    assert steps.min() >= 1 / 1.25 - 1e-3
    assert steps.max() <= 1.25 + 1e-3
    assert steps.std() > 0.05
    again = augment(x, part_for(grid, zoom=0.25), generator=chance())
    assert torch.equal(found, again)
