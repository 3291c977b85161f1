"""Detect on the whole road: intervals in signals, rectangles in pictures, cuboids in volumes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.card import Card
from foveal.datasets.listing import Listing
from foveal.datasets.survey import survey
from foveal.errors import DataError, PlanError
from foveal.grid import Axis, Grid, Sample, time_axis
from foveal.planner.machine import Machine
from foveal.planner.make import make_plan
from foveal.planner.mirrored_boxes import mirror_evidence_of_boxes
from foveal.tasks._detect_boxes import chosen, padded, turned
from foveal.tasks._detect_own import brought_back
from foveal.tasks._detect_plan import _looks
from foveal.tasks.detect import TASK, blocks, encode

RANKS = pytest.mark.parametrize("rank", [1, 2, 3])
MACHINE = Machine("cpu", "a test", 1, "fp32", True, 50.0, {}, 4000)
EDGE = {1: 256, 2: 48, 3: 20}


def events(rank: int, count: int = 60, seed: int = 0) -> Listing:
    """Grids of noise with one to three events: bright blocks, or blocks that fall off in time."""
    rng = np.random.default_rng(seed)
    edge = EDGE[rank]
    axes = (time_axis(0.01),) if rank == 1 else tuple(Axis(n) for n in "zyx"[-rank:])
    grid = Grid(axes, (edge,) * rank)
    samples = []
    for i in range(count):
        x = rng.normal(0, 0.15, (1, *grid.size)).astype(np.float32)
        boxes = []
        for _ in range(int(rng.integers(1, 3))):
            label = int(rng.integers(0, 2))
            side = rng.integers(edge // 6, edge // 3, rank)
            low = (rng.random(rank) * (edge - side)).astype(int)
            place = (0, *(slice(a, a + s) for a, s in zip(low, side, strict=True)))
            if boxes and (np.abs(low - boxes[-1][1 : 1 + rank]) < edge // 3).all():
                continue
            x[place] += np.linspace(1.5, 0.3, side[-1]) if label else 1.0
            boxes.append([label, *low, *(low + side)])
        samples.append(Sample(f"e{i}", x, grid, np.array(boxes, np.float64)))
    parts = np.zeros(count, np.int8)
    parts[count // 2 : 3 * count // 4], parts[3 * count // 4 :] = 1, 2
    return Listing(
        path="made",
        name="made",
        layout="made",
        keys=[s.key for s in samples],
        labels=np.zeros(count, np.int32),
        parts=parts,
        has_parts=("train", "validation", "test"),
        classes=("flat", "falling"),
        read=samples.__getitem__,
        stamp=f"made {rank} {seed}",
        target="boxes",
    )


@RANKS
def test_the_plan_follows_the_sizes_of_boxes(rank: int) -> None:
    seen = survey(events(rank), remember=False)
    card = seen.card
    assert card.target == "boxes"
    assert len(card.sides) == 5
    assert all(len(row) == rank for row in card.sides)
    assert card.sides[0] <= card.sides[-1]
    plan = make_plan(card, MACHINE, task="detect", budget=60.0)
    strides = [max(plan.net.levels[i][1]) for i in plan.net.looks]
    assert strides[0] * 2 <= max(card.sides[-1])
    assert plan.augment.zoom > 0
    assert plan.judge.sizes == 1
    for key in ("net.looks", "net.tower", "augment.zoom", "net.widths"):
        assert plan.why[key]
    assert "where things of 2 classes lie" in plan.why["task"]


def test_levels_by_hand() -> None:
    assert _looks([2, 4, 8, 16, 32], [19.7, 42, 48, 52, 77])[0] == (2, 3)
    assert _looks([2, 4, 8, 16, 32], [4, 300])[0] == (1, 2, 3, 4)
    assert _looks([2, 4], [1, 1])[0] == (1,)
    assert _looks([2, 4, 8], [])[0] == (1, 2)


@pytest.mark.slow
@RANKS
def test_it_learns_to_find_events(rank: int, tmp_path) -> None:
    from foveal.verbs.plan import Wish
    from foveal.verbs.train import train_survey

    seen = survey(events(rank, 120), remember=False)
    wish = Wish("detect", None, 30.0, 0, "none", {})
    report = train_survey(seen, wish, None, tmp_path / "run", 0.0)
    assert report.test["ap50"].value > 0.7
    assert report.test["ap50"].value > max(report.baselines.values())


def test_a_target_of_another_kind_is_an_error() -> None:
    plan = _plan(2)
    with pytest.raises(DataError, match="boxes of 4 numbers, but a class and two corners are 5"):
        encode(torch.zeros(1, 1, 4), plan)
    with pytest.raises(DataError, match="class 7 where there are 2"):
        encode(torch.tensor([[[7.0, 0, 0, 1, 1]]]), plan)


def test_a_set_without_boxes_is_nothing_to_learn() -> None:
    card = survey(events(2), remember=False).card
    with pytest.raises(PlanError, match="there is no box to learn from"):
        make_plan(replace(card, counts={"train": (0, 0)}), MACHINE, task="detect")


def _plan(rank: int):
    samples = blocks(rank)
    card = _card(samples)
    return make_plan(card, MACHINE, task="detect", epochs=1.0)


def _card(samples) -> Card:
    grid, one = samples[0].grid, (0.0,)
    return Card(
        *("example", "made", "boxes", 1, "float32", {"train": len(samples)}),
        *(grid.size, grid.size, grid.size),
        *(one, (1.0,), one, (1.0,)),
        classes=("dim", "bright"),
        counts={"train": (12, 6)},
        digest="0",
        axes=grid.axes,
        size=grid.size,
        sides=((3.0,) * grid.rank, (5.0,) * grid.rank),
    )


@RANKS
def test_every_box_comes_back_from_an_ideal_answer(rank: int) -> None:
    plan, samples = _plan(rank), blocks(rank)
    target = TASK.encode([s.y for s in samples], plan)
    raw = TASK.ideal(target, plan)
    said = TASK.decode(TASK.finish(raw, plan, {}), plan)
    for found, sample in zip(said, samples, strict=True):
        order = np.argsort(found[:, 0])
        np.testing.assert_allclose(found[order], sample.y, atol=1e-3)
    kept, truth = TASK.brief(raw, target, plan)
    quick = TASK.judging.quick(kept.numpy(), truth.numpy(), plan)
    assert quick == {"ap50": 1.0, "ap": 1.0}
    calibration = TASK.judging.calibrate(kept.numpy(), truth.numpy(), plan)
    answers = TASK.telling.answers(TASK.finish(raw, plan, {}).double().numpy(), plan, calibration)
    json.dumps(answers, allow_nan=False)
    assert [len(a["boxes"]) for a in answers] == [len(s.y) for s in samples]
    assert TASK.telling.line(answers[0]) == "1 dim"
    assert TASK.telling.flat(answers[1])["count(bright)"] == 1


@RANKS
def test_answers_lie_on_the_samples_own_grid(rank: int) -> None:
    """A sample twice as large as the plan's grid has boxes twice as large."""
    plan, sample = _plan(rank), blocks(rank)[1]
    large = sample.x
    for axis in range(rank):
        large = large.repeat(2, axis=1 + axis)
    boxes = sample.y * ([1] + [2] * 2 * rank)
    twice = Sample("twice", large, Grid(sample.grid.axes, large.shape[1:]), boxes)
    raw = TASK.ideal(TASK.encode([sample.y], plan), plan).numpy()
    answer = TASK.own.answer(lambda x: raw, twice, plan, {})
    corners = sorted([*b["low"], *b["high"]] for b in answer["boxes"])
    np.testing.assert_allclose(corners, sorted(boxes[:, 1:].tolist()), atol=1e-2)
    said, true = TASK.own.tally(answer, twice.y, plan)
    assert TASK.judging.quick(said[None], true[None], plan)["ap50"] == 1.0
    ending, content = TASK.own.files(answer, twice)
    assert ending == ".json"
    assert json.loads(content)["size"] == list(large.shape[1:])
    for what in (answer, twice.y):
        assert TASK.own.drawn(what, twice, plan).startswith("data:image/png;base64,")


@RANKS
def test_answers_for_a_mirrored_sample_are_turned_back(rank: int) -> None:
    """What an ideal network says of the mirrored sample, turned back, finds the same boxes."""
    plan, sample = _plan(rank), blocks(rank)[1]
    axes = tuple(range(0, rank, 2))
    mirrored = sample.y.copy()
    for axis in axes:
        low, high = 1 + axis, 1 + rank + axis
        mirrored[:, [low, high]] = 16 - sample.y[:, [high, low]]
    raw = TASK.ideal(TASK.encode([mirrored], plan), plan)
    (found,) = TASK.decode(TASK.finish(turned(raw, axes, plan), plan, {}), plan)
    np.testing.assert_allclose(sorted(found.tolist()), sorted(sample.y.tolist()), atol=1e-3)


def test_where_cells_have_no_mirror_image_there_is_no_view() -> None:
    plan = _plan(1)
    odd = replace(plan, data=replace(plan.data, size=(17,)))
    assert turned(torch.zeros(1, 1, 4), (0,), odd) is None


def test_boxes_come_back_through_padding() -> None:
    from foveal.datasets.placement import Placement

    where = Placement((10, 20), (16, 16), (0.8, 0.8), (4.0, 0.0))
    own = np.array([[1.0, 2, 9, 18]])
    there = own * 0.8 + [4, 0, 4, 0]
    np.testing.assert_allclose(brought_back(there, where), own)
    assert brought_back(np.array([[0.0, 0, 16, 16]]), where).tolist() == [[0, 0, 10, 20]]


def test_only_the_surest_of_overlapping_answers_is_chosen() -> None:
    done = torch.zeros(1, 5, 2 + 4)
    done[0, :, 2:] = torch.tensor([0.0, 0, 8, 8])
    done[0, 4, 2:] = torch.tensor([20.0, 20, 28, 28])
    done[0, :, 0] = torch.tensor([0.3, 0.9, 0.5, 0.001, 0.4])
    done[0, 2, 1] = 0.8
    found = chosen(done, 2)[0]
    rows = found[~found[:, 0].isnan()]
    assert rows[:, 0].tolist() == pytest.approx([0.9, 0.8, 0.4])
    assert rows[:, 1].tolist() == [0, 1, 0]


def test_rows_of_several_lengths_are_padded() -> None:
    found = padded([np.ones((2, 3)), np.ones((0, 3))], 3)
    assert found.shape == (2, 2, 3)
    assert np.isnan(found[1]).all()


def test_mirroring_is_asked_of_what_is_inside_boxes() -> None:
    """Blocks that fall off to the right are of another class mirrored across, not up and down."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, (80, 1, 32, 32)).astype(np.float32)
    boxes = np.full((80, 1, 5), np.nan, np.float32)
    for i in range(80):
        y0, x0 = rng.integers(0, 20, 2)
        ramp = np.linspace(2, 0.2, 12)
        x[i, 0, y0 : y0 + 12, x0 : x0 + 12] += ramp if i % 2 else ramp[::-1]
        boxes[i, 0] = [i % 2, y0, x0, y0 + 12, x0 + 12]
    axes = [("y", True), ("x", True)]
    up, across = mirror_evidence_of_boxes(x, boxes, 2, axes)
    assert up.allowed
    assert not across.allowed
    assert not any(e.allowed for e in mirror_evidence_of_boxes(x, boxes[:, :0], 2, axes))


def test_boxes_of_bccd_at_the_planned_size(shared, tmp_path, monkeypatch) -> None:
    from foveal.verbs.look import look

    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path))
    card = look(shared / "data/bccd/BCCD")
    assert card.counts["train"] == (117, 197, 204)
    assert 15 < card.sides[0][0] < 25


@pytest.mark.slow
def test_it_finds_both_ends_of_the_hippocampus(shared, tmp_path) -> None:
    """Bounding cuboids of the labels, on scans that keep their millimetres."""
    from foveal.datasets.layouts import find_listing
    from foveal.verbs.plan import Wish
    from foveal.verbs.train import train_survey

    masks, count = find_listing(shared / "data/hippocampus"), 90

    def read(i: int) -> Sample:
        sample = masks.read(i)
        rows = []
        for k in (1, 2):
            where = np.argwhere(np.asarray(sample.y) == k)
            if len(where):
                rows.append([k - 1, *where.min(0), *(where.max(0) + 1)])
        return replace(sample, y=np.array(rows, float).reshape(-1, 7))

    cuboids = replace(
        masks,
        keys=list(masks.keys)[:count],
        labels=masks.labels[:count],
        parts=masks.parts[:count],
        groups=None,
        classes=("anterior", "posterior"),
        read=read,
        target="boxes",
        stamp=masks.stamp + "cuboids",
        values=None,
    )
    seen = survey(cuboids, remember=False)
    assert seen.card.fit == "spacing"
    wish = Wish("detect", None, 40.0, 0, "none", {})
    report = train_survey(seen, wish, None, tmp_path / "run", 0.0)
    assert report.test["ap50"].value > 0.8
    # Heads lie alike in all scans: boxes of the most similar one already overlap by half.
    assert report.test["ap50"].value >= max(report.baselines.values())
