"""Segment by itself: its loss by hand, its plan, its masks on a sample's own grid."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.datasets.placement import placed
from foveal.errors import DataError, PlanError
from foveal.grid import Axis, Grid, Sample
from foveal.networks.build import build
from foveal.plan import replace_part
from foveal.planner.mirrored_masks import mirror_evidence_of_masks
from foveal.target import VOID
from foveal.tasks import Spend, _segment_own, segment
from test_tasks import card_of, plan_for

TASK = segment.TASK
CARD = card_of(TASK.example(2), TASK)
PLAN = plan_for(CARD, TASK)


def test_masks_are_positions_or_void():
    y = np.array([[[0, 1], [VOID, 1]]], np.uint8)
    assert torch.equal(segment.encode(y, PLAN), torch.from_numpy(y))
    assert segment.encode(torch.from_numpy(y), PLAN).dtype == torch.uint8
    with pytest.raises(DataError, match=r"7 in a mask is no class(.|\n)*from 0 to 1; 255 stands"):
        segment.encode(np.full((1, 2, 2), 7, np.uint8), PLAN)
    with pytest.raises(DataError, match=r"float32 in a mask"):
        segment.encode(np.zeros((1, 2, 2), np.float32), PLAN)


def by_hand(raw, target):
    """Cross-entropy and Dice cell by cell."""
    entropy, cells = 0.0, 0
    said, there, hits = np.zeros(2), np.zeros(2), np.zeros(2)
    for b in range(len(raw)):
        for i in np.ndindex(target.shape[1:]):
            k = target[(b, *i)]
            if k == VOID:
                continue
            p = np.exp(raw[(b, slice(None), *i)])
            p /= p.sum()
            entropy, cells = entropy - np.log(p[k]), cells + 1
            said, there[k], hits[k] = said + p, there[k] + 1, hits[k] + p[k]
    dice = (2 * hits + 1) / (said + there + 1)
    return entropy / cells + 1 - dice[there > 0].mean()


@pytest.mark.parametrize("size", [(7,), (3, 4), (2, 3, 2)])
def test_the_loss_by_hand(size):
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(2, 2, *size))
    target = rng.integers(0, 2, (2, *size)).astype(np.uint8)
    target[:, 0] = VOID
    loss = segment.loss(torch.from_numpy(raw), torch.from_numpy(target), None, PLAN)
    assert loss.item() == pytest.approx(by_hand(raw, target), rel=1e-5)


def test_void_cells_teach_nothing():
    raw = torch.randn(2, 2, 5, 5, requires_grad=True)
    target = torch.zeros(2, 5, 5, dtype=torch.uint8)
    target[:, :2] = VOID
    segment.loss(raw, target, None, PLAN).backward()
    assert not raw.grad[:, :, :2].any()
    assert bool(raw.grad[:, :, 2:].any())
    nothing = segment.loss(raw, torch.full_like(target, VOID), None, PLAN)
    assert bool(nothing.isfinite())


def test_one_class_is_nothing_to_learn():
    with pytest.raises(PlanError, match=r"masks of the training part hold 1 class: kind 0"):
        segment.check(replace(CARD, counts={"train": (12, 0)}))


def spend(operations, train=100, epochs=None):
    return Spend(operations, "some time", train, epochs)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_cell_is_kept_while_time_pays_for_it(rank):
    card = card_of(TASK.example(rank), TASK)
    plan = plan_for(card, TASK)
    size = ((256,), (64, 48), (24, 20, 16))[rank - 1]
    plan = replace_part(plan, "data", size=size)
    rich = segment.sized(plan, card, spend(1e18))
    assert rich.data.size == size
    assert rich.net.stem_stride == (1,) * rank
    assert (rich.net.stem_width, rich.fit.coarse) == (32, 0)
    poor = segment.sized(plan, card, spend(1e9))
    assert poor.net.stem_width == 8
    assert np.prod(poor.data.size) < np.prod(size)
    assert "answers are brought back to each sample's own grid" in poor.why["data.size"]
    for made in (rich, poor):
        network = build(made, segment.head(made, made.net.features, None)).eval()
        x = torch.zeros(1, made.data.channels, *made.data.size)
        assert network(x).shape == (1, 2, *made.data.size)


def test_more_time_never_means_a_smaller_network():
    plan = replace_part(PLAN, "data", size=(64, 64))
    made = [segment.sized(plan, CARD, spend(10.0**e)) for e in range(9, 18)]
    widths = [m.net.stem_width for m in made]
    assert widths == sorted(widths)
    cells = [np.prod(m.data.size) for m in made]
    assert cells == sorted(cells)


def test_epochs_that_were_asked_for_are_kept():
    made = segment.sized(PLAN, CARD, spend(1e15, epochs=7.0))
    assert made.fit.epochs == 7.0


@pytest.mark.parametrize(
    ("own", "size"), [((9,), (5,)), ((12, 7), (6, 10)), ((4, 6, 5), (8, 3, 5))]
)
def test_answers_are_interpolated_on_the_way_back(own, size):
    data = replace(PLAN.data, size=size, fit="stretch")
    raw = np.random.default_rng(0).normal(size=(3, *size)).astype(np.float32)
    where = placed(own, data)
    mask = _segment_own.brought_back(raw, where)
    for cell in np.ndindex(own):
        total = raw
        for axis, i in enumerate(cell):
            place = np.clip((i + 0.5) * size[axis] / own[axis] - 0.5, 0, size[axis] - 1)
            low = int(place)
            high = min(low + 1, size[axis] - 1)
            parts = [np.take(total, [j], axis=1 + axis) for j in (low, high)]
            total = parts[0] + (parts[1] - parts[0]) * (place - low)
        assert mask[cell] == total.reshape(3).argmax()


def test_slabs_of_answers_change_nothing(monkeypatch):
    data = replace(PLAN.data, size=(20, 16), fit="pad")
    raw = np.random.default_rng(0).normal(size=(3, 20, 16)).astype(np.float32)
    whole = _segment_own.brought_back(raw, placed((50, 30), data))
    monkeypatch.setattr(_segment_own, "SLAB", 300)
    assert np.array_equal(_segment_own.brought_back(raw, placed((50, 30), data)), whole)


def test_a_scan_larger_than_the_box_is_answered_whole():
    """Its answers come in tiles; cut to the box they would lack the ends."""
    axes = tuple(Axis(n, 1.0, "mm") for n in "zyx")
    x = np.zeros((1, 20, 9, 8), np.float32)
    x[0, [1, 18]] = 5
    data = replace(PLAN.data, size=(8, 8, 8), fit="spacing", step=(1.0, 1.0, 1.0), dtype="float32")
    plan = replace(PLAN, data=data, axes=axes)
    sample = Sample("scan", x, Grid(axes, x.shape[1:]))

    def bright(tiles):
        assert tiles.shape[2:] == (8, 8, 8)
        return np.concatenate([2.5 - tiles, tiles - 2.5], 1).astype(np.float32)

    said = segment.TASK.own.answer(bright, sample, plan, {})
    assert np.array_equal(said["mask"], (x[0] > 2.5).astype(np.uint8))
    assert said["shares"]["kind 1"] == pytest.approx(0.1)


def scenes(count=45, size=(16, 20)):
    """Bright above, dark below, with noise: y must not be mirrored, x may be."""
    rng = np.random.default_rng(0)
    y = np.zeros((count, *size), np.uint8)
    for mask in y:
        mask[rng.integers(6, 10) :] = 1
    x = 100 + 20 * rng.normal(size=y.shape) - 10 * y
    return x[:, None].astype(np.float32), y


def test_sky_stays_above_and_sides_may_change():
    x, y = scenes()
    up, side = mirror_evidence_of_masks(x, y, 2, [("y", True), ("x", True)])
    assert (up.allowed, side.allowed) == (False, True)
    assert "orientation carries the class" in up.why
    assert "nothing is lost" in side.why
    never, _ = mirror_evidence_of_masks(x, y, 2, [("time", False), ("x", True)])
    assert "time is never mirrored" in never.why
    few, _ = mirror_evidence_of_masks(x[:9], y[:9], 2, [("y", True), ("x", True)])
    assert (few.allowed, few.why) == (False, "too few samples to test mirroring")
