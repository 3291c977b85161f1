"""Changes of speed and loudness: what they mean cell by cell, and that padding stays padding."""

import math

import numpy as np
import pytest
import torch

from foveal.datasets.augment import augment, augment_both
from foveal.datasets.moved import louder, run, spun, warped
from foveal.datasets.truths import truth_of
from foveal.errors import PlanError
from foveal.plan import AugmentPart

SIZES = {1: (17,), 2: (5, 9), 3: (4, 5, 6)}


def chance():
    return torch.Generator().manual_seed(0)


def slow_run(line, speed, anchor):
    out, last = [], len(line) - 1
    for t in range(len(line)):
        place = abs(anchor + (t - anchor) * speed)
        place = 2 * last - place if place > last else place
        place = min(max(place, 0), last)
        low = int(np.floor(place))
        high = min(low + 1, last)
        out.append(line[low] + (line[high] - line[low]) * (place - low))
    return out


@pytest.mark.parametrize("rank", SIZES)
def test_each_sample_runs_at_its_own_speed(rank):
    x = torch.randn(3, 2, *SIZES[rank], generator=chance())
    speed = torch.tensor([0.8, 1.0, 1.3])
    for axis in range(rank):
        middle = (SIZES[rank][axis] - 1) / 2
        found = run(x, axis, speed, middle)
        lines = x.movedim(2 + axis, -1)
        for b, c in np.ndindex(3, 2):
            for at in np.ndindex(*lines.shape[2:-1]):
                wanted = slow_run(lines[(b, c, *at)].tolist(), speed[b].item(), middle)
                got = found.movedim(2 + axis, -1)[(b, c, *at)]
                assert np.allclose(got, wanted, atol=1e-4)
        assert torch.equal(found[1], x[1])  # speed 1 changes nothing


@pytest.mark.parametrize("rank", SIZES)
def test_padding_stays_behind_the_real_cells(rank):
    x = torch.randn(4, 1, *SIZES[rank], generator=chance())
    x[1, ..., 3:] = torch.nan
    moved = warped(x, (0.0,) * (rank - 1) + (0.3,), chance())
    for sample in moved:
        real = ~sample.flatten(0, -2)[0].isnan()
        assert real[0]
        assert (real.long().diff() <= 0).all()  # real cells, then padding, never again real
    assert torch.equal(moved[..., 0], x[..., 0])


def test_without_reach_nothing_moves():
    x = torch.randn(2, 1, 9)
    assert warped(x, (0.0,), chance()) is x


@pytest.mark.parametrize("rank", SIZES)
def test_gain_keeps_the_mean_of_each_channel(rank):
    x = torch.randn(5, 2, *SIZES[rank], generator=chance())
    x[2, ..., 2:] = torch.nan
    found = louder(x, 0.3, chance())
    assert torch.allclose(found.flatten(2).nanmean(-1), x.flatten(2).nanmean(-1), atol=1e-5)
    assert torch.equal(found.isnan(), x.isnan())
    ratio = found[0].flatten(1).std(-1) / x[0].flatten(1).std(-1)
    assert torch.allclose(ratio, ratio[:1].expand(2), atol=1e-4)
    assert 0.7 <= ratio[0] <= 1.3


def test_augment_takes_both_and_can_be_repeated():
    part = AugmentPart((1,), (False,), False, 0, 0.0, 0.0, warp=(0.2,), gain=0.1)
    x = torch.randn(6, 1, 30, generator=chance())
    first, again = (augment(x, part, generator=chance()) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == x.shape
    assert not torch.equal(first, x)


def angles(count, reach, seed=0):
    """What `spun` draws: degrees, then places along both axes as shares."""
    draw = 2 * torch.rand(3, count, generator=torch.Generator().manual_seed(seed)) - 1
    return reach * draw[0], draw[1], draw[2]


@pytest.mark.parametrize(("rank", "plane"), [(2, (0, 1)), (3, (1, 2)), (3, (0, 2))])
def test_spinning_is_bilinear_about_the_middle(rank, plane):
    size = (6, 5, 7)[:rank]
    x = torch.rand(4, 2, *size)
    found = spun(x, plane, 90.0, (1.0, 2.0), torch.Generator().manual_seed(0))
    degrees, up, across = angles(4, 90.0)
    cells = x.movedim([2 + a for a in plane], (-2, -1)).reshape(
        4, -1, size[plane[0]], size[plane[1]]
    )
    got = found.movedim([2 + a for a in plane], (-2, -1)).reshape(cells.shape)
    rows, columns = cells.shape[-2:]
    for b in range(4):
        cos, sin = math.cos(math.radians(degrees[b])), math.sin(math.radians(degrees[b]))
        for i in range(rows):
            for j in range(columns):
                y, z = i - (rows - 1) / 2, j - (columns - 1) / 2
                r = cos * y - sin * z + up[b].item() + (rows - 1) / 2
                c = sin * y + cos * z + 2 * across[b].item() + (columns - 1) / 2
                if not (0 <= r <= rows - 1 and 0 <= c <= columns - 1):
                    continue
                r0, c0 = min(int(r), rows - 2), min(int(c), columns - 2)
                part = cells[b, :, r0 : r0 + 2, c0 : c0 + 2]
                weights = torch.tensor([1 - (r - r0), r - r0])[:, None] * torch.tensor(
                    [1 - (c - c0), c - c0]
                )
                torch.testing.assert_close(
                    got[b, :, i, j], (part * weights).sum((-2, -1)), atol=1e-4, rtol=1e-4
                )


def test_spinning_keeps_whole_numbers_and_an_even_ground():
    x = torch.full((3, 1, 8, 9), 200, dtype=torch.uint8)
    found = spun(x, (0, 1), 180.0, (1.0, 1.0), torch.Generator().manual_seed(1))
    assert found.dtype == torch.uint8
    assert bool((found == 200).all())


def test_augmentation_turns_and_moves_in_one_pass():
    part = AugmentPart((1, 1), (False, False), False, 0, 0.0, 0.0, turn=45.0, plane=(0, 1))
    x = torch.randint(0, 256, (5, 1, 9, 9), dtype=torch.uint8)
    chance = torch.Generator().manual_seed(3)
    found = augment(x, part, generator=chance)
    want = spun(x, (0, 1), 45.0, (1, 1), torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, want)


def test_a_volume_is_turned_in_a_plane_of_chance_and_moved_along_the_rest():
    part = AugmentPart((1, 0, 0), (False,) * 3, False, 0, 0.0, 0.0, turn=30.0, plane=(0, 1, 2))
    x = torch.rand(2, 1, 6, 6, 6)
    seen = [augment(x, part, generator=torch.Generator().manual_seed(s)) for s in range(6)]
    assert all(out.shape == x.shape for out in seen)
    assert all(bool(out.isfinite().all()) for out in seen)


def test_a_plane_that_is_none_and_targets_on_the_grid_are_refused():
    part = AugmentPart((0, 0), (False, False), False, 0, 0.0, 0.0, turn=45.0)
    x = torch.zeros(2, 1, 4, 4)
    with pytest.raises(PlanError, match=r"no plane to turn in: \[\] on a grid of 2 axes"):
        augment(x, part, generator=torch.Generator())
    with pytest.raises(
        PlanError, match="targets that lie on the grid are not turned by 45 degrees"
    ):
        augment_both(x, x, truth_of("mask"), part, generator=torch.Generator())
