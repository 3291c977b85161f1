"""Samples far larger than those learned from: windows of their size agree with one look at all."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

import foveal
from foveal.grid import Axis, Grid, Sample
from foveal.plan import replace_part
from foveal.tasks import _windows
from foveal.tasks._tiles import whole
from foveal.tasks._windows import BEYOND, count, mask_of, windowed
from test_segment import CARD, PLAN, TASK
from test_segment_road import blocks, files, net_for

RANKS = pytest.mark.parametrize("rank", [1, 2, 3])
SHARE = {1: 0.99, 2: 0.99, 3: 0.98}  # of the cells away from borders, that get the same class
GAP = 0.05  # mean difference of a probability there


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def planned(window, classes=PLAN.classes, size=None):
    plan = replace_part(replace(PLAN, classes=classes), "judge", window=window)
    return replace_part(plan, "data", size=size or window, fit="stretch")


def sample(size, dtype=np.uint8, seed=0):
    axes = tuple(Axis(name) for name in "zyx"[-len(size) :])
    x = np.random.default_rng(seed).integers(0, 255, (1, *size)).astype(dtype)
    return Sample("s", x, Grid(axes, size))


def above(x):
    """Raw answers of a network without a neighbourhood: is a cell brighter than 127?"""
    bright = x.astype(np.float32) - 127.5
    return np.concatenate([-bright, bright], 1)


@RANKS
def test_tiles_of_a_trained_network_agree_with_one_look(rank, tmp_path) -> None:
    data = files(tmp_path / "set", rank)
    foveal.train(data, epochs=8, out=tmp_path / "run", changes=net_for(rank))
    model = foveal.load(tmp_path / "run")
    scenes, window = blocks(rank, 4**rank, seed=7)[0], model.plan.data.size
    for axis in reversed(range(rank)):  # four by four scenes side by side
        parts = scenes.reshape(-1, 4, *scenes.shape[1:])
        scenes = np.concatenate([parts[:, i] for i in range(4)], axis=1 + axis)
    x = scenes.astype(np.float32)[:1]
    if model.plan.data.scale == "sample":
        x = (x - x.mean()) / x.std()
    x = np.repeat(x, model.plan.data.channels, 0)

    def ask(tiles):
        with torch.inference_mode():
            return model.network.eval()(torch.from_numpy(np.ascontiguousarray(tiles))).numpy()

    def done(raw):
        return torch.from_numpy(raw).softmax(0).numpy()

    one, tiled = ask(x[None])[0], whole(ask, x, window)
    inner = tuple(slice(w // 2, n - w // 2) for w, n in zip(window, x.shape[1:], strict=True))
    gap = np.abs(done(one) - done(tiled))[(slice(None), *inner)]
    same = (one.argmax(0) == tiled.argmax(0))[inner]
    assert gap.mean() < GAP
    assert same.mean() > SHARE[rank]


@pytest.mark.parametrize(
    ("size", "window"), [((70,), (16,)), ((50, 61), (16, 12)), ((20, 23, 19), (8, 6, 9))]
)
def test_what_sees_no_neighbours_is_the_same_in_windows(size, window) -> None:
    plan, one = planned(window), sample(size)
    asked = []

    def ask(x):
        asked.append(len(x))
        return above(x)

    assert windowed(one, plan)
    mask = mask_of(ask, one, plan)
    assert np.array_equal(mask, one.x[0] > 127)
    assert sum(asked) == count(one, plan) > 1


def test_columns_answered_in_turn_are_as_if_all_were(monkeypatch) -> None:
    plan, one = planned((8, 6)), sample((40, 90))

    def blurred(x):
        wide = np.pad(x.astype(np.float32), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
        shifts = [wide[..., i : i + x.shape[2], j : j + x.shape[3]] for i in (0, 4) for j in (0, 4)]
        return above(sum(shifts) / 4)

    full = mask_of(blurred, one, plan)
    monkeypatch.setattr(_windows, "SLAB_BYTES", 4 * 2 * 8 * 13)
    spans = list(_windows._spans(one.x.shape[1:], plan))
    assert spans[0] == (0, 13)
    assert spans[-1] == (78, 90)
    assert np.array_equal(mask_of(blurred, one, plan), full)
    asked = []

    def counted(x):
        asked.extend(x)
        return blurred(x)

    mask_of(counted, one, plan)
    assert len(asked) == count(one, plan)


def test_windows_are_prepared_like_what_was_learned_from() -> None:
    """Windows of 16 x 16 cells for a network that sees 8 x 8: things keep their size."""
    plan = planned((16, 16), size=(8, 8))
    x = np.zeros((1, 64, 80), np.uint8)
    x[0, 20:40, 30:60] = 255
    one = Sample("s", x, Grid((Axis("y"), Axis("x")), (64, 80)))
    seen = []

    def ask(tiles):
        seen.append(tiles.shape[1:])
        return above(tiles)

    mask = mask_of(ask, one, plan)
    assert set(seen) == {(1, 8, 8)}
    assert (mask == (x[0] > 127)).mean() > 0.98


@pytest.mark.parametrize(
    ("size", "expected"), [((32, 32), False), ((33, 8), True), ((8, 8), False), ((16, 80), True)]
)
def test_only_samples_of_another_size_are_cut(size, expected) -> None:
    one = sample(size)
    assert windowed(one, planned((16, 16))) is expected
    assert (count(one, planned((16, 16))) > 1) is expected
    assert not windowed(one, planned((), size=(16, 16)))
    assert BEYOND == 2


def test_the_plan_says_how_large_windows_are() -> None:
    plan = TASK.planned(replace_part(PLAN, "data", fit="stretch"), CARD)
    assert plan.judge.window == CARD.median
    assert (plan.judge.shift, plan.judge.sizes) == (0, 1)
    assert "things keep their size" in plan.why["judge.window"]
    uneven = replace(CARD, median=(10, 10), largest=(90, 10))
    plan = TASK.planned(replace_part(PLAN, "data", fit="stretch"), uneven)
    assert plan.judge.window == (90, 10)
    kept = replace_part(planned((16, 16)), "data", fit="spacing")
    assert not windowed(sample((99, 99)), kept)  # it is answered in tiles of the network's grid


def test_memory_holds_a_band_of_answers(monkeypatch) -> None:
    monkeypatch.setattr(_windows, "SLAB_BYTES", 2**16)
    monkeypatch.setattr(_windows, "VAST", 10**6)
    plan, peaks = planned((32, 32), tuple(map(str, range(2)))), []
    for edge in (1200, 2400):
        one = sample((edge, edge))
        tracemalloc.start()
        mask = mask_of(above, one, plan)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert isinstance(mask, np.memmap)
        assert np.array_equal(mask, one.x[0] > 127)
    assert peaks[1] < 1.5 * peaks[0]
