"""Changes of speed and loudness: what they mean cell by cell, and that padding stays padding."""

import numpy as np
import pytest
import torch

from foveal.datasets.augment import augment
from foveal.datasets.moved import louder, run, warped
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
