"""Answers over views: order kept, views undone, mode restored, memory bounded."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from foveal.errors import PlanError
from foveal.evaluation.predict import (
    PLAIN,
    View,
    batch_size,
    check_views,
    logits,
    look,
    planned_views,
)
from foveal.grid import Batch
from foveal.plan import replace_part
from foveal.tasks.classify import TASK as CLASSIFY
from foveal.tasks.segment import TASK as SEGMENT
from report_samples import plan_of


class Corner(nn.Module):
    """Answers with the first and the last cell of the last axis: it sees every move."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x, mask=None):
        flat = x.float().flatten(2).mean(1)
        return self.drop(torch.stack([flat[:, 0], flat[:, -1]], 1))


def batches(x, size=4):
    parts = zip(x.split(size), torch.arange(len(x)).split(size), strict=True)
    return (Batch(part, None, index) for part, index in parts)


@pytest.fixture
def x():
    shape = (11, 3, 5, 6)
    return torch.randint(0, 255, shape, generator=torch.Generator().manual_seed(0)).byte()


def test_the_plan_says_which_views():
    plan = plan_of(("a", "b"))
    assert len(planned_views(plan)) == 6  # mirrored or not, times three places
    assert sum(v.weight for v in planned_views(plan)) == pytest.approx(1)
    assert {v.mirror for v in planned_views(plan)} == {(), (1,)}
    still = replace_part(plan, "judge", mirror=False, shift=0)
    assert planned_views(still) == PLAIN
    both = replace_part(plan, "augment", flip=(True, True))
    assert {v.mirror for v in planned_views(both)} == {(), (0,), (1,), (0, 1)}


@pytest.mark.parametrize(
    ("reach", "angles"),
    [(45.0, [0, 30, -30]), (180.0, [0, 120, -120]), (9.0, [0, 6, -6]), (0.0, [0])],
)
def test_angles_are_spread_over_those_that_training_turned_by(reach, angles):
    plan = replace_part(plan_of(("a", "b")), "judge", turns=3, mirror=False, shift=0)
    plan = replace_part(plan, "augment", turn=reach, plane=(0, 1))
    views = planned_views(plan)
    assert [view.turn for view in views] == angles
    assert sum(view.weight for view in views) == pytest.approx(1)
    many = replace_part(plan, "judge", turns=3, mirror=True, shift=1)
    assert len(planned_views(many)) == 6 * len(angles)
    for nowhere in ((), (0, 1, 2)):  # no plane, or several
        assert planned_views(replace_part(plan, "augment", plane=nowhere)) == PLAIN
    ragged = replace_part(plan, "data", fit="ragged")
    assert planned_views(ragged) == PLAIN
    for few in (0, 1, -2):
        assert planned_views(replace_part(plan, "judge", turns=few)) == PLAIN
    even = replace_part(plan, "judge", turns=4)
    assert len({abs(view.turn) for view in planned_views(even)}) == min(len(angles), 3)


@pytest.mark.parametrize(("reach", "smallest"), [(0.15, 1 / 1.15), (0.25, 0.8), (0.0, 1.0)])
def test_sizes_go_down_to_the_smallest_that_training_made(reach, smallest):
    plan = replace_part(plan_of(("a", "b")), "judge", sizes=3, mirror=False, shift=0)
    plan = replace_part(plan, "augment", zoom=reach)
    views = planned_views(plan)
    sizes = [view.size for view in views]
    assert sizes == pytest.approx([1, smallest**0.5, smallest] if reach else [1])
    assert sum(view.weight for view in views) == pytest.approx(1)
    many = replace_part(plan, "judge", sizes=3, mirror=True, shift=1)
    assert len(planned_views(many)) == 6 * len(sizes)
    assert planned_views(replace_part(plan, "data", fit="ragged")) == PLAIN
    for few in (0, 1, -2):
        assert planned_views(replace_part(plan, "judge", sizes=few)) == PLAIN


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_smaller_look_keeps_the_middle_and_every_symmetry(rank):
    chance = torch.Generator().manual_seed(2)
    x = torch.randint(0, 255, (3, 2, *(8,) * rank), generator=chance).byte()
    half = look(x, View(size=0.5))
    assert half.dtype == torch.float32
    assert half.shape == x.shape
    inner = tuple(slice(2, 6) for _ in range(rank))
    mean = x.float().flatten(2).mean(2).view(3, 2, *[1] * rank)
    outside = half.clone()
    outside[(..., *inner)] = mean.expand_as(half)[(..., *inner)]
    torch.testing.assert_close(outside, mean.expand_as(half))
    pairs = x.float()  # at half the size a cell shows the mean of two along every axis
    for axis in range(2, 2 + rank):
        pairs = pairs.unflatten(axis, (4, 2)).mean(axis + 1)
    torch.testing.assert_close(half[(..., *inner)], pairs)
    for axis in range(2, 2 + rank):
        mirrored = look(x.flip(axis), View(size=0.8)).flip(axis)
        torch.testing.assert_close(mirrored, look(x, View(size=0.8)))


@pytest.mark.parametrize("name", ["shift", "sizes"])
def test_moved_views_of_answers_with_places_are_refused(name):
    plan = replace_part(plan_of(("a", "b")), "judge", shift=0)
    check_views(plan, SEGMENT)
    moved = replace_part(plan, "judge", **{name: 2})
    check_views(moved, CLASSIFY)
    with pytest.raises(PlanError, match=rf"(?s)which other views move.*judge\.{name}.*--set"):
        check_views(moved, SEGMENT)


def test_a_look_turns_in_its_plane(x):
    turned = look(x[..., :5], View(turn=90.0, plane=(0, 1)))
    ways = (x[..., :5].rot90(k, (2, 3)).float() for k in (1, -1))
    assert sum(torch.allclose(turned, way, atol=1e-3) for way in ways) == 1


def test_the_mean_over_angles_is_the_same_for_a_quarter_turn():
    class Blind(nn.Module):
        """Sees no quarter turn, and any other angle."""

        def forward(self, x):
            each = [x.float().rot90(k, (2, 3)) for k in range(4)]
            ramp = torch.arange(64.0).view(8, 8).sin()
            return torch.stack([(ramp * view).sum((1, 2, 3)).tanh() for view in each]).mean(0)[
                :, None
            ]

    x = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    plan = replace_part(plan_of(("a", "b")), "judge", turns=3, mirror=False, shift=0)
    plan = replace_part(plan, "augment", turn=45.0, plane=(0, 1))
    want = logits(Blind(), batches(x), plan)
    assert np.abs(logits(Blind(), batches(x), plan, views=PLAIN) - want).max() > 1e-3
    for quarter in (1, 2, 3):
        found = logits(Blind(), batches(x.rot90(quarter, (2, 3))), plan)
        np.testing.assert_allclose(found, want, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_look_mirrors_and_shifts_any_grid(rank):
    x = torch.arange(2 * 3 * 5**rank).reshape(2, 3, *(5,) * rank)
    last = rank - 1
    assert torch.equal(look(x, View((last,))), x.flip(-1))
    moved = look(x, View(shift=(0,) * last + (2,)))
    assert torch.equal(moved, x[..., [2, 3, 4, 3, 2]])
    back = look(x, View(shift=(0,) * last + (-1,)))
    assert torch.equal(back, x[..., [1, 0, 1, 2, 3]])
    assert look(x, View()) is x


def test_a_shift_wider_than_the_grid_stays_inside():
    x = torch.arange(3.0).reshape(1, 1, 3)
    assert look(x, View(shift=(9,))).shape == x.shape


def test_answers_keep_the_order_and_the_batch_size_does_not_matter(x):
    plan = plan_of(("a", "b"))
    got = logits(Corner(), batches(x), plan, views=PLAIN)
    expected = x.float().mean(1).flatten(1)[:, [0, -1]]
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-6)
    again = logits(Corner(), batches(x, 11), plan, views=PLAIN)
    np.testing.assert_allclose(again, got, rtol=1e-6)
    assert got.dtype == np.float32


def test_views_are_a_weighted_mean(x):
    plan = plan_of(("a", "b"))
    two = (View(weight=0.75), View((0, 1), weight=0.25))
    plain = logits(Corner(), batches(x), plan, views=PLAIN)
    got = logits(Corner(), batches(x), plan, views=two)
    np.testing.assert_allclose(got, 0.75 * plain + 0.25 * plain[:, ::-1], rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_left_as_it_came(x, training):
    network = Corner().train(training)
    logits(network, batches(x), plan_of(("a", "b")))
    assert network.training is training


def test_the_mode_is_left_as_it_came_after_an_error():
    network = Corner().train()
    with pytest.raises(ZeroDivisionError):
        logits(network, (1 / 0 for _ in range(1)), plan_of(("a", "b")))
    assert network.training


def test_masks_move_with_the_sample():
    class Masked(nn.Module):
        def forward(self, x, mask=None):
            return (x * mask).flatten(1)

    x, mask = torch.arange(4.0).reshape(1, 1, 4), torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    batch = Batch(x, None, torch.zeros(1), mask)
    got = logits(Masked(), [batch], plan_of(("a", "b")), views=(View((0,)),))
    assert got.tolist() == [[0.0, 0.0, 1.0, 0.0]]


def test_nothing_in_nothing_out():
    assert logits(Corner(), [], plan_of(("a", "b", "c"))).shape == (0, 3)


def test_batches_shrink_as_samples_grow():
    plan = plan_of(("a", "b"))
    sizes = []
    for edge in (8, 32, 224, 4096):
        sizes.append(batch_size(replace_part(plan, "data", size=(edge, edge))))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1024
    assert sizes[-1] == 1
    assert all(s & (s - 1) == 0 for s in sizes)
    there = dataclasses.replace(plan, fit=dataclasses.replace(plan.fit, device="cuda"))
    assert batch_size(there) >= batch_size(plan)
