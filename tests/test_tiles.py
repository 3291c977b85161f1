"""Tiles: they cover, they blend to what one look gives, and memory holds one slab."""

import tracemalloc

import numpy as np
import pytest

from foveal.tasks._tiles import bump, places, slabs, whole

SIZES = [((37,), (16,)), ((21, 34), (8, 16)), ((9, 14, 11), (8, 8, 8)), ((5, 7), (8, 8))]


def itself(x):
    """A network without a neighbourhood: its answer is its input, and minus it."""
    return np.concatenate([x, -x], 1).astype(np.float32)


def blurred(x):
    """A network that sees one cell to each side, mirrored at the window's border."""
    out = x.astype(np.float32)
    for axis in range(2, x.ndim):
        pad = [(0, 0)] * x.ndim
        pad[axis] = (1, 1)
        wide = np.pad(out, pad, mode="reflect")
        n = x.shape[axis]
        parts = [np.take(wide, np.arange(i, i + n), axis=axis) for i in range(3)]
        out = sum(parts) / 3
    return out


@pytest.mark.parametrize(("size", "window"), SIZES)
def test_what_sees_no_neighbours_is_the_same_in_tiles(size, window):
    x = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
    np.testing.assert_allclose(whole(itself, x, window), itself(x[None])[0], atol=1e-5)


@pytest.mark.parametrize(("size", "window"), SIZES)
def test_away_from_borders_tiles_agree_with_one_look(size, window):
    """Only where a tile's own border lies near do the two differ, and its weight is small there."""
    x = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
    gap = np.abs(whole(blurred, x, window) - blurred(x[None])[0])
    assert gap.max() < 0.1
    assert np.median(gap) < 0.01


@pytest.mark.parametrize(("size", "window"), SIZES)
def test_slabs_follow_each_other(size, window):
    x = np.zeros((1, *size), np.float32)
    at = 0
    for start, slab in slabs(itself, x, window):
        assert start == at
        assert slab.shape[0] == 2
        assert slab.shape[2:] == size[1:]
        at += slab.shape[1]
    assert at == size[0]


def test_tiles_begin_at_even_distances_and_end_at_the_end():
    assert places(10, 10, 0.5) == [0]
    assert places(5, 10, 0.5) == [0]
    assert places(11, 10, 0.5) == [0, 1]
    assert places(30, 10, 0.5) == [0, 5, 10, 15, 20]
    for cells in range(11, 60):
        found = places(cells, 10, 0.5)
        assert found[-1] == cells - 10
        assert max(np.diff(found)) <= 6


def test_a_tile_counts_most_in_its_middle():
    weights = bump((9, 5))
    assert weights.shape == (9, 5)
    assert weights[4, 2] == weights.max() == 1
    assert weights.min() > 0
    np.testing.assert_allclose(weights, weights[::-1, ::-1])


def test_memory_holds_a_slab_of_answers_whatever_the_length():
    def many(x):
        return np.broadcast_to(x.astype(np.float32), (len(x), 40, *x.shape[2:]))

    peaks = []
    for length in (256, 2048):
        x = np.zeros((1, length, 64), np.uint8)
        tracemalloc.start()
        for _ in slabs(many, x, (32, 32)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
