"""The pieces of a detector, each alone and in ranks 1 to 3."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.layers.boxes import agreement, around, centres, reach_of
from foveal.metrics.boxes import overlap
from foveal.networks.assign import assign, box_loss
from foveal.networks.detector import BoxHead, Cells, cells_of, corners
from foveal.networks.pyramid import Pyramid
from test_boxes import some
from toy import plan

RANKS = pytest.mark.parametrize("rank", [1, 2, 3])


def net_of(rank: int):
    return replace(
        plan().net,
        stem_width=4,
        stem_kernel=(3,) * rank,
        stem_stride=(1,) * rank,
        widths=(6, 8),
        depths=(1, 1),
        strides=((2,) * rank,) * 2,
        kernels=((3,) * rank,) * 2,
        norm="group",
    )


@RANKS
def test_plain_agreement_is_the_overlap(rank: int) -> None:
    a, b = some(rank, 30), some(rank, 30, seed=1)
    found = agreement(torch.from_numpy(a)[:, None], torch.from_numpy(b))
    np.testing.assert_allclose(found, overlap(a, b), atol=1e-9)


@RANKS
@pytest.mark.parametrize("kind", ["generalised", "complete"])
def test_the_others_are_one_for_the_same_box_and_less_else(rank: int, kind) -> None:
    a, b = (torch.from_numpy(some(rank, 40, seed=s)) for s in (0, 1))
    torch.testing.assert_close(agreement(a, a, kind), torch.ones(40, dtype=torch.float64))
    plain, found = agreement(a, b), agreement(a, b, kind)
    assert bool((found <= plain + 1e-12).all())
    assert bool((found > -2).all())


@RANKS
def test_generalised_by_hand_and_with_a_slope_for_boxes_apart(rank: int) -> None:
    a = torch.tensor([[0.0] * rank + [1.0] * rank], requires_grad=True)
    b = torch.tensor([[2.0] * rank + [3.0] * rank])
    found = agreement(a, b, "generalised")
    assert found.item() == pytest.approx(-(3**rank - 2) / 3**rank)
    (slope,) = torch.autograd.grad(found.sum(), a)
    assert bool((slope[0, rank:] > 0).all())


def test_complete_in_rank_2_is_the_published_one() -> None:
    a, b = torch.tensor([0.0, 0, 2, 4]), torch.tensor([1.0, 1, 5, 3])
    plain = 2 / (8 + 8 - 2)
    gap = ((1 - 3) ** 2 + (2 - 2) ** 2) / (5**2 + 4**2)
    v = 4 / np.pi**2 * (np.arctan(4 / 2) - np.arctan(2 / 4)) ** 2
    expected = plain - gap - v * v / (1 - plain + v)
    assert agreement(a, b, "complete").item() == pytest.approx(expected, abs=1e-5)


@RANKS
def test_reach_and_around_undo_each_other(rank: int) -> None:
    points = centres((4,) * rank, (2,) * rank)
    assert points.shape == (4**rank, rank)
    assert points[0].tolist() == [1.0] * rank
    boxes = torch.from_numpy(some(rank, 1)).float().expand(len(points), -1)
    torch.testing.assert_close(around(points, reach_of(points, boxes)), boxes)


@RANKS
def test_the_pyramid_lets_the_coarsest_level_be_heard_everywhere(rank: int) -> None:
    torch.manual_seed(0)
    pyramid = Pyramid(rank, [3, 5], 4, net_of(rank)).eval()
    fine, coarse = torch.randn(1, 3, *(7,) * rank), torch.randn(1, 5, *(4,) * rank)
    found = pyramid([fine, coarse])
    assert [tuple(x.shape) for x in found] == [(1, 4, *(7,) * rank), (1, 4, *(4,) * rank)]
    other = pyramid([fine, coarse + 1])
    assert float((other[0] != found[0]).any(1).float().mean()) > 0.8  # ReLU hides a few


@RANKS
def test_the_head_says_a_box_at_every_cell_of_its_levels(rank: int) -> None:
    torch.manual_seed(0)
    net = net_of(rank)
    levels = [torch.randn(2, c, *(-(-9 // s[0]),) * rank) for c, s in net.levels]
    head = BoxHead(rank, net, (1, 2), 3, width=4, side=[4.0] * rank)
    raw = head(levels)
    cells = cells_of((9,) * rank, (1, 2), net)
    assert raw.shape == (2, len(cells.points), 3 + 2 * rank)
    assert len(cells.points) == 5**rank + 3**rank
    assert bool((raw[..., :3].sigmoid() < 0.2).all())  # at first hardly anything is anywhere
    boxes = corners(raw[..., 3:], cells)
    sides = boxes[..., rank:] - boxes[..., :rank]
    assert bool(((sides > 1) & (sides < 16)).all())  # of about the usual side
    raw.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def grid(rank: int) -> Cells:
    points = centres((8,) * rank, (2,) * rank)
    return Cells(points, torch.full_like(points, 2.0))


def slow(probabilities, said, true, cells, most):
    """What `assign` gives, one sample, one box and one cell at a time."""
    best: dict[tuple[int, int], tuple[float, int, float]] = {}
    for s, boxes in enumerate(true):
        known = [row for row in boxes.tolist() if row[0] == row[0]]
        for m, (label, *box) in enumerate(known):
            rank = len(box) // 2
            fits = []
            for a, point in enumerate(cells.points.tolist()):
                inside = all(box[i] < point[i] < box[rank + i] for i in range(rank))
                near = all(
                    abs(point[i] - (box[i] + box[rank + i]) / 2) <= 0.75 * cells.strides[a][i]
                    for i in range(rank)
                )
                u = float(overlap(said[s, a].numpy()[None], np.array([box]))[0, 0])
                t = float(probabilities[s, a, int(label)]) * u**6
                if (inside or near) and t > 0:
                    fits.append((t, a, u))
            for t, a, u in sorted(fits, reverse=True)[:most]:
                if (s, a) not in best or u > best[s, a][0]:
                    best[s, a] = (u, m, t)
    return {key: m for key, (_, m, _) in best.items()}


@RANKS
def test_assignment_is_what_a_loop_says(rank: int) -> None:
    chance = torch.Generator().manual_seed(rank)
    cells, samples = grid(rank), 3
    count = len(cells.points)
    probabilities = torch.rand(samples, count, 2, generator=chance, dtype=torch.float64)
    reach = torch.rand(samples, count, 2 * rank, generator=chance, dtype=torch.float64) * 4 + 0.5
    said = around(cells.points.double(), reach)
    true = torch.full((samples, 4, 1 + 2 * rank), torch.nan, dtype=torch.float64)
    for s in range(samples):
        boxes = torch.from_numpy(some(rank, s + 1, seed=s, reach=10.0))
        true[s, : s + 1] = torch.cat([torch.arange(s + 1).double()[:, None] % 2, boxes], 1)
    found = assign(probabilities, said, true, cells, most=5)
    expected = slow(probabilities, said, true, cells, 5)
    chosen = {
        tuple(pair): box for pair, box in zip(found.chosen.tolist(), found.boxes, strict=True)
    }
    assert set(chosen) == set(expected)
    for (s, a), m in expected.items():
        torch.testing.assert_close(chosen[s, a], true[s, m, 1:])
    assert bool(((found.worth > 0) & (found.worth <= 1)).all())


@RANKS
def test_nothing_answers_where_there_is_nothing(rank: int) -> None:
    cells = grid(rank)
    count = len(cells.points)
    none = torch.full((2, 3, 1 + 2 * rank), torch.nan)
    logits = torch.zeros(2, count, 2, requires_grad=True)
    said = around(cells.points, torch.ones(2, count, 2 * rank)).requires_grad_()
    assert len(assign(logits.sigmoid(), said, none, cells).worth) == 0
    loss = box_loss(logits, said, none, cells)
    loss.backward()
    assert loss.item() > 0
    assert bool((logits.grad > 0).all())  # every cell learns to be silent


@RANKS
def test_a_box_between_cells_still_finds_one(rank: int) -> None:
    cells = grid(rank)
    tiny = torch.tensor([[[0.0] + [3.8] * rank + [4.2] * rank]])
    said = around(cells.points, torch.full((1, len(cells.points), 2 * rank), 1.2))
    found = assign(torch.full((1, len(cells.points), 1), 0.1), said, tiny, cells)
    assert len(found.worth) >= 1


@RANKS
def test_the_loss_falls_to_the_right_answer(rank: int) -> None:
    torch.manual_seed(rank)
    cells = grid(rank)
    true = torch.tensor([[[1.0] + [3.0] * rank + [8.0] * rank]])
    logits = torch.full((1, len(cells.points), 2), -3.0, requires_grad=True)
    reach = torch.zeros(1, len(cells.points), 2 * rank, requires_grad=True)
    optimiser = torch.optim.Adam([logits, reach], 0.1)
    for _ in range(80):
        loss = box_loss(logits, corners(reach, cells), true, cells)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    best = int(logits[0, :, 1].argmax())
    assert float(logits[0, best, 1].sigmoid().detach()) > 0.5
    assert float(agreement(corners(reach, cells)[0, best], true[0, 0, 1:]).detach()) > 0.8
    assert float(logits[0, :, 0].max().detach()) < 0
